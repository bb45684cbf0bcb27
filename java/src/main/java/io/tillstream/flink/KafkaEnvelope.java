package io.tillstream.flink;

import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Kafka records as envelopes; origin is {@code kafka:<topic>/<partition>/<offset>}. */
public final class KafkaEnvelope implements KafkaRecordDeserializationSchema<Row> {
    private static final long serialVersionUID = 1L;

    private final Envelope envelope;

    public KafkaEnvelope(String keyField) {
        this.envelope = new Envelope(keyField);
    }

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Row> out) {
        String origin = "kafka:" + record.topic() + '/' + record.partition() + '/' + record.offset();
        out.collect(envelope.wrap(record.value(), origin, record.timestamp()));
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
