package io.tillstream.flink;

import java.io.IOException;
import java.io.Serializable;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.types.Row;

/**
 * A Kafka source whose restored positions are moved where their records are gone and somebody has
 * accepted that: those and no others. Its state is the Kafka source's.
 */
public final class MovedPositions
        implements Source<Row, KafkaPartitionSplit, KafkaSourceEnumState>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;

    private final KafkaSource<Row> source;
    private final Moves moves;

    /** {@code moves}: topic/partition to the position it has and the offset where it goes on. */
    public MovedPositions(KafkaSource<Row> source, Map<String, List<Number>> moves) {
        this.source = source;
        this.moves = new Moves();
        moves.forEach(
                (place, move) ->
                        this.moves.put(
                                place,
                                new long[] {move.get(0).longValue(), move.get(1).longValue()}));
    }

    @Override
    public SimpleVersionedSerializer<KafkaPartitionSplit> getSplitSerializer() {
        return new Moving(source.getSplitSerializer(), moves);
    }

    @Override
    public Boundedness getBoundedness() {
        return source.getBoundedness();
    }

    @Override
    public SourceReader<Row, KafkaPartitionSplit> createReader(SourceReaderContext context)
            throws Exception {
        return source.createReader(context);
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> createEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context) {
        return source.createEnumerator(context);
    }

    @Override
    public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restoreEnumerator(
            SplitEnumeratorContext<KafkaPartitionSplit> context, KafkaSourceEnumState state)
            throws IOException {
        return source.restoreEnumerator(context, state);
    }

    @Override
    public SimpleVersionedSerializer<KafkaSourceEnumState> getEnumeratorCheckpointSerializer() {
        return source.getEnumeratorCheckpointSerializer();
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return source.getProducedType();
    }

    /** By topic/partition. */
    static final class Moves extends HashMap<String, long[]> implements Serializable {
        private static final long serialVersionUID = 1L;

        KafkaPartitionSplit move(KafkaPartitionSplit split) {
            long[] move = get(split.getTopic() + '/' + split.getPartition());
            long at = split.getStartingOffset();
            // Of a topic that was created again (it goes on before where it was) that place alone.
            boolean gone = move != null && (at == move[0] || move[0] < at && at < move[1]);
            return gone
                    ? new KafkaPartitionSplit(
                            split.getTopicPartition(),
                            move[1],
                            split.getStoppingOffset().orElse(KafkaPartitionSplit.NO_STOPPING_OFFSET))
                    : split;
        }
    }

    private static final class Moving implements SimpleVersionedSerializer<KafkaPartitionSplit> {
        private final SimpleVersionedSerializer<KafkaPartitionSplit> kafka;
        private final Moves moves;

        Moving(SimpleVersionedSerializer<KafkaPartitionSplit> kafka, Moves moves) {
            this.kafka = kafka;
            this.moves = moves;
        }

        @Override
        public int getVersion() {
            return kafka.getVersion();
        }

        @Override
        public byte[] serialize(KafkaPartitionSplit split) throws IOException {
            return kafka.serialize(split);
        }

        @Override
        public KafkaPartitionSplit deserialize(int version, byte[] serialized) throws IOException {
            return moves.move(kafka.deserialize(version, serialized));
        }
    }
}
