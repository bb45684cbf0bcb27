package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * Kafka records as envelopes; origin is {@code kafka:<topic>/<partition>/<offset>}, or what the header
 * {@code tillstream.origin} says: a record out of the archive keeps the origin it first had.
 */
public final class KafkaEnvelope implements KafkaRecordDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private final Envelope envelope;
    private long untilMs = Long.MAX_VALUE;
    private boolean tellsHoles;
    private transient Map<Integer, Long> next; // partition to the offset after the last one read

    public KafkaEnvelope(String keyField) {
        this.envelope = new Envelope(keyField);
    }

    /** Leaves out whatever the broker took after that time (ms UTC). */
    public KafkaEnvelope until(long ms) {
        this.untilMs = ms;
        return this;
    }

    /**
     * Offsets at which there is no record, such as the marks of a producer's transactions, come as
     * one empty envelope whose origin ends with {@code <first>-<last>}. They are known between two
     * records of one run, not where a run begins.
     */
    public KafkaEnvelope tellHoles() {
        this.tellsHoles = true;
        return this;
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
        if (tellsHoles) {
            tellHole(record, out);
        }
        if (record.timestamp() > untilMs) {
            return;
        }
        Header first = record.headers().lastHeader("tillstream.origin");
        String origin =
                first != null
                        ? new String(first.value(), StandardCharsets.UTF_8)
                        : "kafka:" + record.topic() + '/' + record.partition() + '/' + record.offset();
        out.collect(envelope.wrap(record.value(), origin, record.timestamp()));
    }

    private void tellHole(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
        if (next == null) {
            next = new HashMap<>();
        }
        long offset = record.offset();
        Long expected = next.put(record.partition(), offset + 1);
        if (expected != null && expected < offset) {
            String hole = "kafka:" + record.topic() + '/' + record.partition() + '/';
            hole += expected + "-" + (offset - 1);
            out.collect(envelope.wrap(null, hole, record.timestamp()));
        }
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
