package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

/**
 * Kafka records as envelopes; origin is {@code kafka:<topic>/<partition>/<offset>}, or what the header
 * {@code tillstream.origin} says: a record out of the archive keeps the origin it first had, and by
 * {@code tillstream.arrived.ms} the time it first arrived.
 */
public final class KafkaEnvelope implements KafkaRecordDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private static final Pattern WHOLE = Pattern.compile("[0-9]{1,18}");

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
        long arrivedMs = arrivedMs(record);
        if (arrivedMs > untilMs) {
            return;
        }
        Header first = record.headers().lastHeader("tillstream.origin");
        String origin =
                first != null
                        ? new String(first.value(), StandardCharsets.UTF_8)
                        : "kafka:" + record.topic() + '/' + record.partition() + '/' + record.offset();
        out.collect(envelope.wrap(record.value(), origin, arrivedMs));
    }

    /**
     * When the broker took it. A time that is not the broker's own is what the producer says: it cannot
     * be later than now, whatever the producer's clock shows.
     */
    private static long arrivedMs(ConsumerRecord<byte[], byte[]> record) {
        Header first = record.headers().lastHeader("tillstream.arrived.ms");
        if (first == null && record.timestampType() == TimestampType.LOG_APPEND_TIME) {
            return record.timestamp();
        }
        long saidMs = record.timestamp();
        if (first != null && first.value() != null) {
            String text = new String(first.value(), StandardCharsets.ISO_8859_1);
            saidMs = WHOLE.matcher(text).matches() ? Long.parseLong(text) : saidMs;
        }
        return Math.min(saidMs, System.currentTimeMillis());
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
