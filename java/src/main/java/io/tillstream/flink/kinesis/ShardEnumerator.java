package io.tillstream.flink.kinesis;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;

/** Finds shards and gives each that is ready to the reader that has fewest: see {@link ShardPlan}. */
final class ShardEnumerator implements SplitEnumerator<Shard, ShardPlan> {
    private static final Logger LOG = LoggerFactory.getLogger(ShardEnumerator.class);

    private final SplitEnumeratorContext<Shard> context;
    private final Stream stream;
    private final Stream.Calls calls;
    private final ShardPlan plan;
    private final ShardPlan.Begin begin;
    private final long discoverMs;
    private final Map<Integer, Set<String>> held = new HashMap<>();
    private final Patience patience;

    ShardEnumerator(
            SplitEnumeratorContext<Shard> context,
            Stream stream,
            ShardPlan plan,
            ShardPlan.Begin begin,
            long discoverMs) {
        this.context = context;
        this.stream = stream;
        this.plan = plan;
        this.begin = begin;
        this.discoverMs = discoverMs;
        calls = stream.open();
        patience = new Patience("the shards of " + stream.name + " cannot be listed");
    }

    @Override
    public void start() {
        context.callAsync(calls::shards, this::found, 0, discoverMs);
    }

    private void found(List<ShardPlan.Listed> listed, Throwable problem) {
        if (problem instanceof SdkException && Stream.mayPass((SdkException) problem)) {
            patience.failed(problem);
        } else if (problem != null) {
            throw new FlinkRuntimeException(
                    "the shards of the Kinesis stream " + stream.name + " cannot be listed", problem);
        } else {
            patience.worked();
            plan.found(listed, begin, System.currentTimeMillis());
            giveOut();
        }
    }

    private void giveOut() {
        if (context.registeredReaders().size() < context.currentParallelism()) {
            return; // those that are still to come may have shards of their own
        }
        for (Shard shard : plan.ready()) {
            int least = -1;
            for (int reader : context.registeredReaders().keySet()) {
                if (least < 0 || of(reader).size() < of(least).size()) {
                    least = reader;
                }
            }
            LOG.info("Shard {} to reader {}.", shard, least);
            context.assignSplit(shard, least);
            of(least).add(shard.id);
            plan.isRead(shard.id);
        }
    }

    private Set<String> of(int reader) {
        return held.computeIfAbsent(reader, any -> new TreeSet<>());
    }

    @Override
    public void handleSourceEvent(int subtask, SourceEvent event) {
        ShardEvent said = (ShardEvent) event;
        for (String id : said.ids) {
            if (said.atTheirEnds) {
                held.values().forEach(one -> one.remove(id));
                plan.isAtItsEnd(id);
            } else {
                of(subtask).add(id);
                plan.isRead(id);
            }
        }
        if (said.atTheirEnds) {
            // A shard ends where others begin, which may not be known yet.
            context.callAsync(calls::shards, this::found);
        }
    }

    @Override
    public void addSplitsBack(List<Shard> shards, int subtask) {
        held.remove(subtask); // it says anew what it has
        shards.forEach(plan::comesBack);
        giveOut();
    }

    @Override
    public void addReader(int subtask) {
        giveOut();
    }

    @Override
    public void handleSplitRequest(int subtask, String host) {
        // Readers are given shards without being asked.
    }

    @Override
    public ShardPlan snapshotState(long checkpoint) {
        return plan;
    }

    @Override
    public void close() {
        calls.close();
    }
}
