package io.tillstream.flink.kinesis;

import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * Which shards wait, are read, and are read to their ends: all that is decided about them, without
 * network and engine.
 *
 * <p>A shard waits for its parents. One that the stream no longer lists and nobody reads is gone, and
 * holds no child up.
 */
public final class ShardPlan {
    /** Where a job without positions begins. {@code positions}: shard to the last sequence number read. */
    public static final class Begin implements Serializable {
        private static final long serialVersionUID = 1L;

        final boolean latest;
        final long sinceMs;
        final TreeMap<String, String> positions;

        /** {@code sinceMs}: 0 for the first record kept, or if {@code latest} whatever comes from now on. */
        public Begin(boolean latest, long sinceMs, Map<String, String> positions) {
            this.latest = latest;
            this.sinceMs = sinceMs;
            this.positions = new TreeMap<>(positions);
        }
    }

    /** A shard as the stream lists it. */
    public static final class Listed {
        final String id;
        final List<String> parents;
        final boolean closed;

        /** {@code closed}: it takes no more records. */
        public Listed(String id, List<String> parents, boolean closed) {
            this.id = id;
            this.parents = parents;
            this.closed = closed;
        }
    }

    private final String stream;
    private boolean begun;
    private long listedMs; // when the stream was listed last; 0: not known, as of states of before
    private final TreeMap<String, Shard> waiting = new TreeMap<>();
    private final Set<String> reading = new TreeSet<>();
    private final Set<String> ended = new TreeSet<>();

    public ShardPlan(String stream) {
        this.stream = stream;
    }

    /** All shards that the stream lists now. {@code begin} counts for the first time alone. */
    public void found(Collection<Listed> listed, Begin begin, long nowMs) {
        if (begun) {
            Set<String> ids = new HashSet<>();
            for (Listed one : listed) {
                ids.add(one.id);
                if (isNew(one)) {
                    // It was not there the last time, so nothing came to it before.
                    waiting.put(one.id, Shard.unread(stream, one.id, one.parents).readTo(listedMs));
                }
            }
            ended.retainAll(ids);
            listedMs = nowMs;
            return;
        }
        Set<String> before = ancestors(listed, begin.positions.keySet());
        for (Listed one : listed) {
            Shard shard = Shard.unread(stream, one.id, one.parents);
            String after = begin.positions.get(one.id);
            if (after != null) {
                waiting.put(one.id, shard.after(after));
            } else if (before.contains(one.id) || begin.latest && one.closed) {
                ended.add(one.id);
            } else {
                Shard since = shard.since(begin.latest ? nowMs : begin.sinceMs);
                waiting.put(one.id, begin.latest ? since.readTo(nowMs) : since);
            }
        }
        begun = !listed.isEmpty();
        listedMs = nowMs;
    }

    private boolean isNew(Listed one) {
        return !waiting.containsKey(one.id) && !reading.contains(one.id) && !ended.contains(one.id);
    }

    private static Set<String> ancestors(Collection<Listed> listed, Set<String> of) {
        Map<String, Listed> byId = new TreeMap<>();
        listed.forEach(one -> byId.put(one.id, one));
        Set<String> out = new HashSet<>();
        List<String> left = new ArrayList<>(of);
        while (!left.isEmpty()) {
            Listed one = byId.get(left.remove(left.size() - 1));
            if (one != null) {
                one.parents.stream().filter(out::add).forEach(left::add);
            }
        }
        out.removeAll(of);
        return out;
    }

    /** Those that can be read now, by id. */
    public List<Shard> ready() {
        List<Shard> out = new ArrayList<>();
        for (Shard shard : waiting.values()) {
            if (shard.parents.stream().noneMatch(p -> waiting.containsKey(p) || reading.contains(p))) {
                out.add(shard);
            }
        }
        return out;
    }

    /** A reader has it, newly given or from its own state. */
    public void isRead(String id) {
        waiting.remove(id);
        ended.remove(id);
        reading.add(id);
    }

    /** A reader has it read to its end, perhaps again. */
    public void isAtItsEnd(String id) {
        waiting.remove(id);
        reading.remove(id);
        ended.add(id);
    }

    /** A reader was lost before it had kept that it was given this. */
    public void comesBack(Shard shard) {
        reading.remove(shard.id);
        waiting.put(shard.id, shard);
    }

    public byte[] toBytes() throws IOException {
        ObjectNode out = Shard.JSON.createObjectNode().put("stream", stream).put("begun", begun);
        out.put("listed_ms", listedMs);
        waiting.values().forEach(one -> out.withArray("waiting").add(one.toJson()));
        reading.forEach(out.withArray("reading")::add);
        ended.forEach(out.withArray("ended")::add);
        return Shard.JSON.writeValueAsBytes(out);
    }

    public static ShardPlan of(byte[] bytes) throws IOException {
        JsonNode json = Shard.JSON.readTree(bytes);
        ShardPlan plan = new ShardPlan(json.get("stream").textValue());
        plan.begun = json.get("begun").booleanValue();
        plan.listedMs = json.path("listed_ms").longValue();
        json.path("waiting").forEach(one -> plan.waiting.put(one.get("shard").textValue(), Shard.of(one)));
        json.path("reading").forEach(one -> plan.reading.add(one.textValue()));
        json.path("ended").forEach(one -> plan.ended.add(one.textValue()));
        return plan;
    }
}
