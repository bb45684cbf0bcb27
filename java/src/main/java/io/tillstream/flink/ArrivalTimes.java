package io.tillstream.flink;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.types.Row;

/** When the broker took a record, as its envelope says. */
public final class ArrivalTimes {
    private ArrivalTimes() {}

    /** ms UTC. */
    static long of(byte[] envelope) {
        long arrivedMs = 0;
        long unit = 1;
        for (int i = Envelope.headEnd(envelope) - 1; envelope[i] >= '0' && envelope[i] <= '9'; i--) {
            arrivedMs += (envelope[i] - '0') * unit;
            unit *= 10;
        }
        return arrivedMs;
    }

    /**
     * The stream's time: of rows (key, envelope) of one partition each, the one that is furthest behind.
     *
     * @param idleMs a partition without a record for so long holds nobody up
     */
    public static WatermarkStrategy<Row> watermarks(long idleMs) {
        return WatermarkStrategy.<Row>forMonotonousTimestamps()
                .withTimestampAssigner((row, before) -> of((byte[]) row.getField(1)))
                .withIdleness(Duration.ofMillis(idleMs));
    }
}
