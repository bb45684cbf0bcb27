package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Records {@code <route>|<key>\n<json>} to the topic of their route: one sink, so one transaction,
 * for all that a decision sets going.
 */
public final class RoutedJson implements KafkaRecordSerializationSchema<byte[]> {
    private static final long serialVersionUID = 1L;

    private final HashMap<String, String> topics;

    /** @param topics route to topic */
    public RoutedJson(Map<String, String> topics) {
        this.topics = new HashMap<>(topics);
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            byte[] record, KafkaSinkContext context, Long timestampMs) {
        int newline = 0;
        while (record[newline] != '\n') {
            newline++;
        }
        String head = new String(record, 0, newline, StandardCharsets.UTF_8);
        int bar = head.indexOf('|');
        String topic = topics.get(head.substring(0, bar));
        if (topic == null) {
            throw new IllegalStateException("no topic for route '" + head.substring(0, bar) + "'");
        }
        byte[] json = new byte[record.length - newline - 1];
        System.arraycopy(record, newline + 1, json, 0, json.length);
        return new ProducerRecord<>(
                topic, head.substring(bar + 1).getBytes(StandardCharsets.UTF_8), json);
    }
}
