package io.tillstream.flink;

import java.util.HashMap;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;

/** Where a Kafka source without positions of its own begins, partition by partition. */
public final class StartOffsets {
    private StartOffsets() {}

    /** {@code offsets}: partition to offset, as texts; a partition not named begins at its earliest. */
    public static OffsetsInitializer of(String topic, Map<String, String> offsets) {
        Map<TopicPartition, Long> places = new HashMap<>();
        offsets.forEach(
                (partition, offset) ->
                        places.put(
                                new TopicPartition(topic, Integer.parseInt(partition)),
                                Long.parseLong(offset)));
        return OffsetsInitializer.offsets(places, OffsetResetStrategy.EARLIEST);
    }
}
