package io.tillstream.flink;

import org.apache.flink.metrics.Meter;
import org.apache.flink.metrics.MeterView;
import org.apache.flink.metrics.MetricGroup;

/**
 * Figures that alarms go by (tillstream/infra/metrics.py).
 *
 * <p>Amazon's service passes on to CloudWatch what is in the group {@code kinesisanalytics}, and
 * nothing else.
 */
final class Reported {
    static final String GROUP = "kinesisanalytics";
    static final String CHECKPOINT_AGE = "checkpointAgeSeconds";
    static final String DEAD_LETTERS = "deadLettersPerSecond";
    private static final int OVER_S = 60;

    private Reported() {}

    /** Seconds since the last checkpoint that was complete, or since the job began. */
    static final class CheckpointAge {
        private volatile long sinceMs = System.currentTimeMillis();

        static CheckpointAge in(MetricGroup metrics) {
            CheckpointAge age = new CheckpointAge();
            metrics.addGroup(GROUP).gauge(CHECKPOINT_AGE, age::seconds);
            return age;
        }

        void complete() {
            sinceMs = System.currentTimeMillis();
        }

        private long seconds() {
            return Math.max(System.currentTimeMillis() - sinceMs, 0) / 1000;
        }
    }

    /** Dead letters per second of this subtask, over a minute. */
    static Meter deadLetters(MetricGroup metrics) {
        return metrics.addGroup(GROUP).meter(DEAD_LETTERS, new MeterView(OVER_S));
    }
}
