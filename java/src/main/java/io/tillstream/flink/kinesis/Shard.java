package io.tillstream.flink.kinesis;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * A shard of a stream and how far it is read.
 *
 * <p>As JSON: {@code {"kinesis": stream, "shard": id, "after": sequence number, "since_ms": time,
 * "arrived_ms": time, "read_to_ms": time, "parents": [id, ..]}}, without {@code after} where nothing was
 * read, {@code since_ms} where it begins with its first record, the others where that is not known. Of one
 * that is read to its end, only that: {@code "ended": true}.
 * {@code tillstream/cluster/manifest.py} finds these texts in a savepoint.
 */
public final class Shard implements SourceSplit {
    static final ObjectMapper JSON = new ObjectMapper();

    public final String stream;
    public final String id;
    public final List<String> parents;
    /** Sequence number of the last record read; null: none yet. */
    public final String after;
    /** When that record arrived, ms UTC; 0 where that is not known. */
    public final long arrivedMs;

    /** Without {@link #after}: where it begins, ms UTC; 0 with its first record. */
    public final long sinceMs;

    /**
     * All that arrived in it before (ms UTC) is read; 0 where that is not known, as of states of before.
     * It may be much later than the last record: while nothing comes, time goes on.
     */
    public final long readToMs;

    public final boolean ended;

    private Shard(
            String stream,
            String id,
            List<String> parents,
            String after,
            long arrivedMs,
            long sinceMs,
            long readToMs,
            boolean ended) {
        this.stream = stream;
        this.id = id;
        this.parents = List.copyOf(parents);
        this.after = after;
        this.arrivedMs = arrivedMs;
        this.sinceMs = sinceMs;
        this.readToMs = readToMs;
        this.ended = ended;
    }

    /** Nothing of it was read; it begins with its first record. */
    public static Shard unread(String stream, String id, List<String> parents) {
        return new Shard(stream, id, parents, null, 0, 0, 0, false);
    }

    public Shard since(long ms) {
        return new Shard(stream, id, parents, null, 0, ms, readToMs, false);
    }

    public Shard after(String sequenceNumber) {
        return after(sequenceNumber, 0);
    }

    public Shard after(String sequenceNumber, long arrivedMs) {
        return new Shard(stream, id, parents, sequenceNumber, arrivedMs, 0, readToMs, false);
    }

    /** Never back: what is read stays read. */
    public Shard readTo(long ms) {
        return ms <= readToMs
                ? this
                : new Shard(stream, id, parents, after, arrivedMs, sinceMs, ms, false);
    }

    public Shard atItsEnd() {
        return new Shard(stream, id, parents, null, 0, 0, 0, true);
    }

    @Override
    public String splitId() {
        return id;
    }

    @Override
    public String toString() {
        return toJson().toString();
    }

    ObjectNode toJson() {
        ObjectNode out = JSON.createObjectNode().put("kinesis", stream).put("shard", id);
        if (ended) {
            return out.put("ended", true);
        }
        if (after != null) {
            out.put("after", after);
        } else if (sinceMs != 0) {
            out.put("since_ms", sinceMs);
        }
        if (arrivedMs != 0) {
            out.put("arrived_ms", arrivedMs);
        }
        if (readToMs != 0) {
            out.put("read_to_ms", readToMs);
        }
        parents.forEach(out.putArray("parents")::add);
        return out;
    }

    static Shard of(JsonNode json) {
        List<String> parents = new ArrayList<>();
        json.path("parents").forEach(one -> parents.add(one.textValue()));
        return new Shard(
                json.get("kinesis").textValue(),
                json.get("shard").textValue(),
                parents,
                json.path("after").textValue(),
                json.path("arrived_ms").longValue(),
                json.path("since_ms").longValue(),
                json.path("read_to_ms").longValue(),
                json.path("ended").booleanValue());
    }

    /** Its JSON, in UTF-8. */
    static final class Serializer implements SimpleVersionedSerializer<Shard> {
        @Override
        public int getVersion() {
            return 1;
        }

        @Override
        public byte[] serialize(Shard shard) throws IOException {
            return JSON.writeValueAsBytes(shard.toJson());
        }

        @Override
        public Shard deserialize(int version, byte[] serialized) throws IOException {
            if (version != 1) {
                throw new IOException("a shard's state of version " + version + " is of a later release");
            }
            return of(JSON.readTree(serialized));
        }
    }
}
