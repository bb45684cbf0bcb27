package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;

/**
 * Kafka records as envelopes, one for each of a record's {@link Pieces}; origin is {@code
 * kafka:<topic>/<partition>/<offset>}.
 *
 * <p>A record out of the archive keeps the origin it first had, in the header {@code
 * tillstream.origin}, and in {@code tillstream.arrived.ms} the time it first arrived. Only a topic that
 * is filled out of the archive is asked for them: on any other a header is whatever its producer
 * likes, and is ignored.
 */
public final class KafkaEnvelope implements KafkaRecordDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private static final Pattern PLACE =
            Pattern.compile("(?:kafka|kinesis):[0-9A-Za-z._-]+/[0-9A-Za-z._-]+/[0-9]+");
    private static final Pattern WHOLE = Pattern.compile("[0-9]{1,18}");

    private final Envelope envelope;
    private boolean fromArchive;
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

    /** The topic is filled out of the archive. */
    public KafkaEnvelope fromArchive() {
        this.fromArchive = true;
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
        long arrivedMs = arrivedMs(record);
        if (arrivedMs > untilMs) {
            return;
        }
        envelope.wrap(record.value(), origin(record), arrivedMs, out);
    }

    private String origin(ConsumerRecord<byte[], byte[]> record) {
        String first = first(record, "tillstream.origin", PLACE);
        return first != null
                ? first
                : "kafka:" + record.topic() + '/' + record.partition() + '/' + record.offset();
    }

    /**
     * When the broker took it. A time that is not the broker's own is what the producer says: it cannot
     * be later than now, whatever the producer's clock shows.
     */
    private long arrivedMs(ConsumerRecord<byte[], byte[]> record) {
        String first = first(record, "tillstream.arrived.ms", WHOLE);
        if (first == null && record.timestampType() == TimestampType.LOG_APPEND_TIME) {
            return record.timestamp();
        }
        long saidMs = first == null ? record.timestamp() : Long.parseLong(first);
        return Math.min(saidMs, System.currentTimeMillis());
    }

    /** What the archive wrote of a record, or null if there is nothing of that form. */
    private String first(ConsumerRecord<byte[], byte[]> record, String name, Pattern form) {
        Header header = fromArchive ? record.headers().lastHeader(name) : null;
        if (header == null || header.value() == null) {
            return null;
        }
        String text = new String(header.value(), StandardCharsets.ISO_8859_1);
        return form.matcher(text).matches() ? text : null;
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
            out.collect(envelope.wrap(null, hole, arrivedMs(record)));
        }
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
