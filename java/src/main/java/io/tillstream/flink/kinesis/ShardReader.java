package io.tillstream.flink.kinesis;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.connector.base.source.reader.SingleThreadMultiplexSourceReaderBase;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.types.Row;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * The reader of one subtask.
 *
 * <p>That a shard is at its end it keeps in its own state until a checkpoint is complete that has it:
 * the enumerator's part of that checkpoint may be of a moment before it was told (FLINK-37627), and is
 * told again after a restore.
 */
final class ShardReader
        extends SingleThreadMultiplexSourceReaderBase<Record, Row, Shard, ShardReader.At> {
    /** A shard and how far its records were handed on. */
    static final class At {
        Shard shard;
        long arrivedMs; // of the last one; 0: none yet

        At(Shard shard) {
            this.shard = shard;
        }
    }

    private final ShardPolling.Progress progress;
    private final TreeMap<String, Shard> ended = new TreeMap<>();
    private final TreeMap<Long, List<String>> keptBy = new TreeMap<>(); // checkpoint to ended shards

    ShardReader(
            Supplier<SplitReader<Record, Shard>> polling,
            RecordEmitter<Record, Row, At> emitter,
            ShardPolling.Progress progress,
            SourceReaderContext context) {
        super(polling, emitter, context.getConfiguration(), context);
        this.progress = progress;
    }

    @Override
    public void addSplits(List<Shard> shards) {
        List<Shard> open = shards.stream().filter(one -> !one.ended).collect(Collectors.toList());
        shards.stream().filter(one -> one.ended).forEach(one -> ended.put(one.id, one));
        tell(ended.keySet(), true);
        tell(open.stream().map(one -> one.id).collect(Collectors.toList()), false);
        if (!open.isEmpty()) {
            super.addSplits(open);
        }
    }

    @Override
    protected void onSplitFinished(Map<String, At> finished) {
        finished.values().forEach(one -> ended.put(one.shard.id, one.shard.atItsEnd()));
        tell(finished.keySet(), true);
    }

    private void tell(Collection<String> ids, boolean atTheirEnds) {
        if (!ids.isEmpty()) {
            context.sendSourceEventToCoordinator(new ShardEvent(ids, atTheirEnds));
        }
    }

    @Override
    public List<Shard> snapshotState(long checkpoint) {
        List<Shard> out = new ArrayList<>(super.snapshotState(checkpoint));
        out.addAll(ended.values());
        keptBy.put(checkpoint, new ArrayList<>(ended.keySet()));
        return out;
    }

    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
        super.notifyCheckpointComplete(checkpoint);
        Map<Long, List<String>> done = keptBy.headMap(checkpoint, true);
        List<String> kept = keptBy.get(checkpoint);
        if (kept != null) {
            ended.keySet().removeAll(kept);
        }
        done.clear();
    }

    @Override
    protected At initializedState(Shard shard) {
        return new At(shard);
    }

    @Override
    protected Shard toSplitType(String id, At at) {
        return progress.readTo(at.shard, at.arrivedMs);
    }
}
