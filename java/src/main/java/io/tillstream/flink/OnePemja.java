package io.tillstream.flink;

import java.util.Optional;
import java.util.function.IntConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Thread mode's native library belongs to one class loader of a JVM. From Java 12 on it cannot be loaded by
 * another: pemja's way around that is a field of ClassLoader that reflection does not show any more, and
 * the job fails with NoSuchFieldException at each restart. Where flink-python comes with the job, as on Amazon
 * Managed Service for Apache Flink, a job that is submitted anew to the same TaskManager is another class
 * loader. There the TaskManager's process ends, so that the cluster puts a new one in its place.
 *
 * <p>A failover is no such case: Flink keeps a job's class loader for as long as its slots. Where flink-python
 * is in the cluster's own lib/, all jobs share one.
 */
public final class OnePemja {
    /** The exit code of a TaskManager that ends for this. */
    public static final int ANOTHER = 70;

    private static final String KEY = "tillstream.pemja.loader";
    private static final Logger LOG = LoggerFactory.getLogger(OnePemja.class);

    private OnePemja() {}

    static void see(ClassLoader pemja) {
        see(pemja, Runtime.version().feature(), Runtime.getRuntime()::halt);
    }

    /** Visible for tests: {@code end} ends the process. */
    public static void see(ClassLoader pemja, int javaVersion, IntConsumer end) {
        if (javaVersion < 12) {
            return;
        }
        // Of the JVM and not of this class, which each of these loaders has for itself.
        Object first =
                Optional.ofNullable(System.getProperties().putIfAbsent(KEY, pemja)).orElse(pemja);
        if (first != pemja) {
            LOG.error(
                    "This JVM has run Python in thread mode for another job's class loader, and its"
                            + " native library cannot be loaded twice. The process ends with code {}"
                            + " so that the cluster starts a new one.",
                    ANOTHER);
            end.accept(ANOTHER);
        }
    }
}
