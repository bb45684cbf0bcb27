package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
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

    public KafkaEnvelope(String keyField) {
        this.envelope = new Envelope(keyField);
    }

    /** Leaves out whatever the broker took after that time (ms UTC). */
    public KafkaEnvelope until(long ms) {
        this.untilMs = ms;
        return this;
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
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

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
