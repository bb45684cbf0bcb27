package io.tillstream.flink;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;
import org.apache.kafka.common.TopicPartition;

/**
 * Where a Kafka source without positions of its own begins; one that has some never jumps.
 *
 * <p>With Flink's own initializers a position that the topic no longer holds is replaced by its
 * beginning or its end, and nobody is told. Here the job fails. "Earliest" and "latest" become offsets
 * at once: a savepoint taken before the first record must not mean the end of another day.
 */
public final class StartOffsets implements OffsetsInitializer {
    private static final long serialVersionUID = 1L;

    private final OffsetsInitializer where;

    private StartOffsets(OffsetsInitializer where) {
        this.where = where;
    }

    public static OffsetsInitializer of(OffsetsInitializer where) {
        return new StartOffsets(where);
    }

    /** {@code offsets}: partition to offset, as texts; a partition not named begins at its earliest. */
    public static OffsetsInitializer of(String topic, Map<String, String> offsets) {
        Map<TopicPartition, Long> places = new HashMap<>();
        offsets.forEach(
                (partition, offset) ->
                        places.put(
                                new TopicPartition(topic, Integer.parseInt(partition)),
                                Long.parseLong(offset)));
        return of(OffsetsInitializer.offsets(places, OffsetResetStrategy.EARLIEST));
    }

    @Override
    public Map<TopicPartition, Long> getPartitionOffsets(
            Collection<TopicPartition> partitions, PartitionOffsetsRetriever topic) {
        Map<TopicPartition, Long> found =
                new HashMap<>(where.getPartitionOffsets(partitions, topic));
        Map<TopicPartition, Long> first = topic.beginningOffsets(partitions);
        Map<TopicPartition, Long> end = topic.endOffsets(partitions);
        found.replaceAll(
                (partition, offset) ->
                        offset == KafkaPartitionSplit.EARLIEST_OFFSET
                                ? first.get(partition)
                                : offset == KafkaPartitionSplit.LATEST_OFFSET
                                        ? end.get(partition)
                                        : offset);
        return found;
    }

    @Override
    public OffsetResetStrategy getAutoOffsetResetStrategy() {
        return OffsetResetStrategy.NONE;
    }
}
