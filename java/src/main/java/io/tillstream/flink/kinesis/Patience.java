package io.tillstream.flink.kinesis;

import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.apache.flink.util.FlinkRuntimeException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** With calls that fail: they are tried again, ever more slowly, and said once a minute. */
final class Patience {
    private static final Logger LOG = LoggerFactory.getLogger(Patience.class);
    private static final long FIRST_MS = 200;
    private static final long LONGEST_MS = 5_000;
    private static final long COMPLAIN_NANOS = TimeUnit.MINUTES.toNanos(1);
    /** Nothing works for so long: the job fails and starts again, which is seen. */
    private static final long GIVE_UP_NANOS = TimeUnit.MINUTES.toNanos(15);

    private final String what;
    private Long sinceNanos;
    private long complainedNanos;
    private int failures;

    Patience(String what) {
        this.what = what;
    }

    void worked() {
        sinceNanos = null;
        failures = 0;
    }

    /** How long to wait, ms. */
    long failed(Throwable problem) {
        long now = System.nanoTime();
        if (sinceNanos == null) {
            sinceNanos = now;
            complainedNanos = now - COMPLAIN_NANOS;
        }
        if (now - sinceNanos > GIVE_UP_NANOS) {
            throw new FlinkRuntimeException(what + " for 15 minutes", problem);
        }
        if (now - complainedNanos >= COMPLAIN_NANOS) {
            complainedNanos = now;
            LOG.warn("{}, and is tried again: {}", what, problem.toString());
        }
        long most = Math.min(LONGEST_MS, FIRST_MS << Math.min(failures++, 10));
        return ThreadLocalRandom.current().nextLong(most / 2, most + 1);
    }
}
