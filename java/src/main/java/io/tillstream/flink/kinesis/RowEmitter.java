package io.tillstream.flink.kinesis;

import io.tillstream.flink.Envelope;
import org.apache.flink.api.connector.source.SourceOutput;
import org.apache.flink.connector.base.source.reader.RecordEmitter;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import software.amazon.awssdk.services.kinesis.model.Record;

/**
 * Records as envelopes, one for each piece of each record that a producer's library packed into one;
 * origin is {@code kinesis:<stream>/<shard>/<sequence number>}.
 *
 * <p>All that one record holds is handed on together, so a position lies between records.
 */
public final class RowEmitter implements RecordEmitter<Record, Row, ShardReader.At> {
    private final Envelope envelope;
    private final long untilMs;
    private final Output output = new Output();

    public RowEmitter(String keyField, long untilMs) {
        envelope = new Envelope(keyField);
        this.untilMs = untilMs;
    }

    @Override
    public void emitRecord(Record record, SourceOutput<Row> out, ShardReader.At at) {
        output.out = out;
        output.arrivedMs = record.approximateArrivalTimestamp().toEpochMilli();
        at.arrivedMs = output.arrivedMs;
        byte[] data = record.data().asByteArrayUnsafe();
        Shard read = at.shard.after(record.sequenceNumber(), output.arrivedMs);
        at.shard = emit(data, read, output.arrivedMs, output);
    }

    /** {@code read}: the shard, this record read, which is returned. */
    public Shard emit(byte[] data, Shard read, long arrivedMs, Collector<Row> out) {
        if (arrivedMs <= untilMs) {
            String origin = "kinesis:" + read.stream + '/' + read.id + '/' + read.after;
            for (byte[] payload : Aggregate.of(data)) {
                envelope.wrap(payload, origin, arrivedMs, out);
            }
        }
        return read;
    }

    private static final class Output implements Collector<Row> {
        SourceOutput<Row> out;
        long arrivedMs;

        @Override
        public void collect(Row row) {
            out.collect(row, arrivedMs);
        }

        @Override
        public void close() {}
    }
}
