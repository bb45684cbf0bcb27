package io.tillstream.flink;

import java.time.Duration;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;

/**
 * How long a key's state lives.
 *
 * <p>Flink's own time to live goes by the machine's clock, so it goes on while the job is down: after an
 * outage the marks of records that are still to be read again would be gone. By arrival, a key is
 * forgotten by a timer of the stream's time, the watermark of {@link ArrivalTimes}, which stands still.
 * Flink's stays behind it, a year later, for state from a savepoint that has no timers.
 *
 * <p>With Flink's a value is stored in another format, and Flink restores neither from the other. So a
 * state that may have a life has it always, a century where the settings say for ever.
 */
final class StateLife {
    private static final long FOR_EVER_MS = 100L * 365 * 86_400_000;
    /** Of a sale that fraud holds and has no verdict: long past any, and yet an end. */
    static final long HELD_MS = 10L * 365 * 86_400_000;

    private static final long LONGEST_OUTAGE_MS = 366L * 86_400_000; // no stream keeps records longer

    private StateLife() {}

    /** @param ms life from the last write; 0: for ever, for now */
    static void of(StateDescriptor<?, ?> state, long ms, boolean byArrival) {
        long flinks = ms == 0 ? FOR_EVER_MS : byArrival ? ms + LONGEST_OUTAGE_MS : ms;
        state.enableTimeToLive(StateTtlConfig.newBuilder(Duration.ofMillis(flinks)).build());
    }

    /**
     * When what was written for a record is to be forgotten.
     *
     * @param arrivedMs when the record arrived; behind the watermark, for a shard that is behind the
     *     others, it counts as the watermark
     */
    static long endMs(long arrivedMs, long watermark, long ms) {
        return Math.max(arrivedMs, watermark) + ms;
    }
}
