package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * Kafka records as envelopes, one for each of a record's {@link Pieces}; origin is {@code
 * kafka:<topic>/<partition>/<offset>}.
 *
 * <p>A record out of the archive keeps the origin it first had, in the header {@code
 * tillstream.origin}. Only a topic that is filled out of the archive is asked for it: on any other
 * a header is whatever its producer likes, and is ignored.
 */
public final class KafkaEnvelope implements KafkaRecordDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private static final Pattern PLACE =
            Pattern.compile("(?:kafka|kinesis):[0-9A-Za-z._-]+/[0-9A-Za-z._-]+/[0-9]+");

    private final Envelope envelope;
    private boolean fromArchive;
    private long untilMs = Long.MAX_VALUE;

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

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
        if (record.timestamp() > untilMs) {
            return;
        }
        envelope.wrap(record.value(), origin(record), record.timestamp(), out);
    }

    private String origin(ConsumerRecord<byte[], byte[]> record) {
        Header first = fromArchive ? record.headers().lastHeader("tillstream.origin") : null;
        if (first != null && first.value() != null) {
            String text = new String(first.value(), StandardCharsets.ISO_8859_1);
            if (PLACE.matcher(text).matches()) {
                return text;
            }
        }
        return "kafka:" + record.topic() + '/' + record.partition() + '/' + record.offset();
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
