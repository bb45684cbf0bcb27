package io.tillstream.flink;

import java.io.IOException;
import java.io.ObjectInputStream;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.functions.AssignerWithPeriodicWatermarks;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.connectors.kinesis.serialization.KinesisDeserializationSchema;
import org.apache.flink.types.Row;

/**
 * Kinesis records as envelopes; origin is {@code kinesis:<stream>/<shard>/<sequence number>}.
 *
 * <p>Records that a producer library aggregated into one share its sequence number. The consumer takes
 * one row for each record, so {@link Pieces} come after it.
 */
public final class KinesisEnvelope implements KinesisDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private static final String CBOR_OFF =
            "org.apache.flink.kinesis.shaded.com.amazonaws.sdk.disableCbor";

    private final Envelope envelope;
    private final boolean emulator;
    private long untilMs = Long.MAX_VALUE;

    /**
     * @param emulator whether the endpoint is a stand-in for Kinesis, which speaks no CBOR
     */
    public KinesisEnvelope(boolean emulator) {
        this.envelope = new Envelope(null);
        this.emulator = emulator;
    }

    /** Leaves out whatever the stream took after that time (ms UTC). */
    public KinesisEnvelope until(long ms) {
        this.untilMs = ms;
        return this;
    }

    /**
     * Turns CBOR off on the TaskManager, where this object arrives before the consumer makes its
     * client. With it on, an emulator's records are not read and nothing says so.
     */
    private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
        in.defaultReadObject();
        if (emulator) {
            System.setProperty(CBOR_OFF, "true");
        }
    }

    @Override
    public Row deserialize(
            byte[] payload,
            String partitionKey,
            String sequenceNumber,
            long arrivalMs,
            String stream,
            String shard) {
        if (arrivalMs > untilMs) {
            return null; // the consumer counts it as read and hands nothing on
        }
        String origin = "kinesis:" + stream + '/' + shard + '/' + sequenceNumber;
        return envelope.wrap(payload, origin, arrivalMs);
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }

    /** {@link ArrivalTimes} of each shard, as this consumer wants them. */
    public static final class Arrivals implements AssignerWithPeriodicWatermarks<Row> {
        private static final long serialVersionUID = 1L;

        private long newest = Long.MIN_VALUE;

        @Override
        public long extractTimestamp(Row row, long before) {
            if (row == null) {
                return before; // a record after the end: the consumer asks before it drops it
            }
            long arrivedMs = ArrivalTimes.of((byte[]) row.getField(1));
            newest = Math.max(newest, arrivedMs);
            return arrivedMs;
        }

        @Override
        public Watermark getCurrentWatermark() {
            return new Watermark(newest);
        }
    }
}
