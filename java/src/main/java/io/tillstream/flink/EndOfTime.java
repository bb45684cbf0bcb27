package io.tillstream.flink;

import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.types.Row;

/**
 * Hands on the end of time where a drained source was idle.
 *
 * <p>An idle source's last watermark is dropped (FLINK-40499), so a drain would leave the windows
 * behind it open. Goes right behind a source with watermarks, and has no state.
 */
public final class EndOfTime extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<Row, Row>, BoundedOneInput {
    private static final long serialVersionUID = 1L;

    private EndOfTime() {}

    /** The same rows. */
    public static SingleOutputStreamOperator<Row> behind(DataStream<Row> source) {
        return Wiring.chained(
                source.transform("end of time", source.getType(), new EndOfTime()), false);
    }

    @Override
    public void processElement(StreamRecord<Row> record) {
        output.collect(record);
    }

    /** Only when drained: a savepoint to go on from is no end. */
    @Override
    public void endInput() {
        output.emitWatermarkStatus(WatermarkStatus.ACTIVE);
        output.emitWatermark(Watermark.MAX_WATERMARK);
    }
}
