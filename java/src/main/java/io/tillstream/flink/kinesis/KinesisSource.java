package io.tillstream.flink.kinesis;

import io.tillstream.flink.Envelope;
import java.io.IOException;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.types.Row;
import org.apache.flink.util.clock.Clock;
import org.apache.flink.util.clock.SystemClock;

/**
 * Rows of (key, enveloped record) of a Kinesis stream; their time is when the stream took them.
 *
 * <p>Fluent: {@code new KinesisSource(stream, region, keyField).endpoint(..).polls(..)}.
 */
public final class KinesisSource
        implements Source<Row, Shard, ShardPlan>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;

    private final Stream stream;
    private final String keyField;
    private ShardPlan.Begin begin = new ShardPlan.Begin(false, 0, Map.of());
    private long untilMs = Long.MAX_VALUE;
    private long pollMs = 200;
    private int mostRecords = 10_000;
    private long discoverMs = 10_000;

    /** {@code keyField}: null for rows that are keyed later. */
    public KinesisSource(String stream, String region, String keyField) {
        this.stream = new Stream(stream, region);
        this.keyField = keyField;
    }

    /** Null: AWS's own. Any other is a stand-in, which speaks no CBOR. */
    public KinesisSource endpoint(String endpoint) {
        stream.endpoint = endpoint;
        return this;
    }

    /** As local stand-ins want them. */
    public KinesisSource basicCredentials() {
        stream.basicCredentials = true;
        return this;
    }

    /** Without state: see {@link ShardPlan.Begin}. */
    public KinesisSource begins(boolean latest, long sinceMs, Map<String, String> positions) {
        begin = new ShardPlan.Begin(latest, sinceMs, positions);
        return this;
    }

    /** Leaves out whatever the stream took after that time (ms UTC). */
    public KinesisSource until(long ms) {
        untilMs = ms;
        return this;
    }

    /** Of that shard it goes on where it can, if what follows that position is gone; "0": its beginning. */
    public KinesisSource acceptsLossOf(String shard, String after) {
        stream.accepted.put(shard, after);
        return this;
    }

    /** And of every shard what it had lost by then (ms UTC). */
    public KinesisSource acceptsLossBefore(long ms) {
        stream.acceptedMs = ms;
        return this;
    }

    public KinesisSource polls(long everyMs, int mostRecords, long discoverEveryMs) {
        this.pollMs = everyMs;
        this.mostRecords = mostRecords;
        this.discoverMs = discoverEveryMs;
        return this;
    }

    @Override
    public Boundedness getBoundedness() {
        return Boundedness.CONTINUOUS_UNBOUNDED;
    }

    @Override
    public SourceReader<Row, Shard> createReader(SourceReaderContext context) {
        ShardPolling.Progress progress = new ShardPolling.Progress();
        context.metricGroup().gauge("millisBehindLatest", () -> progress.behindMs);
        return new ShardReader(
                () -> polling(SystemClock.getInstance(), progress),
                new RowEmitter(keyField, untilMs),
                progress,
                context);
    }

    public ShardPolling polling(Clock clock, ShardPolling.Progress progress) {
        return new ShardPolling(stream, pollMs, mostRecords, clock, progress);
    }

    @Override
    public SplitEnumerator<Shard, ShardPlan> createEnumerator(SplitEnumeratorContext<Shard> context) {
        return restoreEnumerator(context, new ShardPlan(stream.name));
    }

    @Override
    public SplitEnumerator<Shard, ShardPlan> restoreEnumerator(
            SplitEnumeratorContext<Shard> context, ShardPlan plan) {
        return new ShardEnumerator(context, stream, plan, begin, discoverMs);
    }

    @Override
    public SimpleVersionedSerializer<Shard> getSplitSerializer() {
        return new Shard.Serializer();
    }

    @Override
    public SimpleVersionedSerializer<ShardPlan> getEnumeratorCheckpointSerializer() {
        return new SimpleVersionedSerializer<>() {
            @Override
            public int getVersion() {
                return 1;
            }

            @Override
            public byte[] serialize(ShardPlan plan) throws IOException {
                return plan.toBytes();
            }

            @Override
            public ShardPlan deserialize(int version, byte[] serialized) throws IOException {
                if (version != 1) {
                    throw new IOException("shards' state of version " + version + " is of a later release");
                }
                return ShardPlan.of(serialized);
            }
        };
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
