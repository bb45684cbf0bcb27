package io.tillstream.flink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.metrics.Meter;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Dead letters (JSON objects) to a Kafka topic: the raw bytes as value, all else as headers.
 *
 * <p>Header names are Kafka Connect's where it has one, so that its tools can read the topic; the
 * rest begins with {@code tillstream.}. A Kinesis origin puts the shard in the partition header and
 * the sequence number in the offset header. Bytes that are too many for a broker are left out, their
 * number is in {@code tillstream.left.out.bytes}: files on S3 have them.
 */
public final class DeadLetterRecords implements KafkaRecordSerializationSchema<byte[]> {
    private static final long serialVersionUID = 1L;
    private static final Logger LOG = LoggerFactory.getLogger(DeadLetterRecords.class);
    private static final String CONNECT = "__connect.errors.";
    private static final String OURS = "tillstream.";
    private static final int MOST_BYTES = 900_000; // a broker takes 1 MiB unless told otherwise

    private final String topic;

    private transient Meter written; // absent where a reader of ours uses this by itself

    public DeadLetterRecords(String topic) {
        this.topic = topic;
    }

    @Override
    public void open(
            SerializationSchema.InitializationContext context, KafkaSinkContext sinkContext) {
        written = Reported.deadLetters(context.getMetricGroup());
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            byte[] json, KafkaSinkContext context, Long timestampMs) {
        Map<String, String> letter = fields(json);
        if (written != null) {
            written.markEvent();
        }
        String id = letter.get("dead_letter_id");
        String raw = letter.get("raw_b64");
        String origin = letter.getOrDefault("origin", "");
        Headers headers = new RecordHeaders();
        String[] place = place(origin);
        add(headers, CONNECT + "topic", place[0]);
        add(headers, CONNECT + "partition", place[1]);
        add(headers, CONNECT + "offset", place[2]);
        add(headers, CONNECT + "connector.name", letter.get("job"));
        add(headers, CONNECT + "task.id", String.valueOf(context.getParallelInstanceId()));
        add(headers, CONNECT + "stage", letter.get("stage"));
        add(headers, CONNECT + "class.name", letter.get("stage"));
        add(headers, CONNECT + "exception.class.name", letter.get("reason"));
        add(headers, CONNECT + "exception.message", letter.get("message"));
        add(headers, OURS + "origin", origin);
        add(headers, OURS + "reason", letter.get("reason"));
        add(headers, OURS + "schema.version", letter.get("schema_version"));
        add(headers, OURS + "failed.at.ms", letter.get("failed_at_ms"));
        byte[] value = raw == null ? new byte[0] : Base64.getDecoder().decode(raw);
        if (value.length > MOST_BYTES || raw == null) {
            int length = raw == null ? json.length : value.length;
            add(headers, OURS + "left.out.bytes", String.valueOf(length));
            value = new byte[0];
        }
        byte[] key = id == null ? null : id.getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>(topic, null, key, value, headers);
    }

    /** {@code <kind>:<stream or topic>/<shard or partition>/<position>}, in its three parts. */
    static String[] place(String origin) {
        int colon = origin.indexOf(':');
        int last = origin.lastIndexOf('/');
        int middle = last < 0 ? -1 : origin.lastIndexOf('/', last - 1);
        if (colon < 0 || middle <= colon) {
            return new String[] {null, null, null};
        }
        return new String[] {
            origin.substring(colon + 1, middle),
            origin.substring(middle + 1, last),
            origin.substring(last + 1)
        };
    }

    private static void add(Headers headers, String name, String value) {
        if (value != null) {
            headers.add(name, value.getBytes(StandardCharsets.UTF_8));
        }
    }

    /** Of a letter that cannot be read to its end, what comes before: it is worth more than none. */
    private static Map<String, String> fields(byte[] json) {
        Map<String, String> fields = new HashMap<>();
        try (JsonParser parser = Json.FACTORY.createParser(json)) {
            parser.nextToken();
            String field;
            while ((field = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                if (token.isScalarValue() && token != JsonToken.VALUE_NULL) {
                    fields.put(field, parser.getText());
                }
                Json.skip(parser);
            }
        } catch (IOException | RuntimeException unreadable) {
            LOG.warn("Of a dead letter of {} bytes not all can be read.", json.length, unreadable);
        }
        return fields;
    }
}
