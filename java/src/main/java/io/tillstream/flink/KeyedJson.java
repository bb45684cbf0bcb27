package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** JSON objects to one Kafka topic, keyed by one of their string fields. */
public final class KeyedJson implements KafkaRecordSerializationSchema<byte[]> {
    private static final long serialVersionUID = 1L;

    private final String topic;
    private final TopLevelField keyField;

    public KeyedJson(String topic, String keyField) {
        this.topic = topic;
        this.keyField = new TopLevelField(keyField);
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(
            byte[] json, KafkaSinkContext context, Long timestampMs) {
        String key = keyField.read(json);
        byte[] keyBytes = key == null ? null : key.getBytes(StandardCharsets.UTF_8);
        return new ProducerRecord<>(topic, keyBytes, json);
    }
}
