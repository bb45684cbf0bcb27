package io.tillstream.flink;

import java.util.Collections;
import java.util.Map;
import java.util.WeakHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.IntConsumer;
import org.apache.flink.streaming.runtime.tasks.StreamTask;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Thread mode's native library belongs to one class loader of a JVM. From Java 12 on it cannot be loaded by
 * another: pemja's way around that is a field of ClassLoader that reflection does not show any more, and
 * the job fails with NoSuchFieldException at each restart. On Java 11 it is loaded and keeps the classes of
 * the first, so the job fails with a ClassCastException. Where flink-python comes with the job, as on Amazon
 * Managed Service for Apache Flink, a job that is submitted anew to the same TaskManager is another class
 * loader. There the TaskManager's process ends, so that the cluster puts a new one in its place; but not
 * while the other job's tasks run in it.
 *
 * <p>A failover is no such case: Flink keeps a job's class loader for as long as its slots. Where flink-python
 * is in the cluster's own lib/, all jobs share one.
 */
public final class OnePemja {
    /** The exit code of a TaskManager that ends for this. */
    public static final int ANOTHER = 70;

    private static final String KEY = "tillstream.pemja.loader";
    private static final Logger LOG = LoggerFactory.getLogger(OnePemja.class);

    /** Of the class loader that this class is in. */
    private static final Map<StreamTask<?, ?>, Boolean> TASKS =
            Collections.synchronizedMap(new WeakHashMap<>());

    private OnePemja() {}

    static void see(ClassLoader pemja, StreamTask<?, ?> task) {
        see(pemja, OnePemja::isBusy, Runtime.getRuntime()::halt);
        TASKS.put(task, true);
    }

    private static boolean isBusy() {
        synchronized (TASKS) {
            return TASKS.keySet().stream().anyMatch(StreamTask::isRunning);
        }
    }

    /**
     * Visible for tests.
     *
     * @param busy whether a task of this loader runs
     * @param end ends the process
     */
    public static void see(ClassLoader pemja, BooleanSupplier busy, IntConsumer end) {
        // Of the JVM and not of this class, which each of these loaders has for itself.
        Object[] mine = {pemja, busy};
        Object first = System.getProperties().putIfAbsent(KEY, mine);
        Object[] before = first == null ? mine : (Object[]) first;
        if (before[0] == pemja) {
            return;
        }
        if (((BooleanSupplier) before[1]).getAsBoolean()) {
            // To end it would end a job that is well, which would do the same to this one.
            throw new IllegalStateException(
                    "Python of another job runs in this TaskManager, in thread mode, and its native"
                            + " library cannot be loaded twice: put flink-python's jar into the"
                            + " cluster's lib/, or give each job a cluster of its own");
        }
        LOG.error(
                "This JVM has run Python in thread mode for another job's class loader, and its"
                        + " native library cannot be loaded twice. The process ends with code {}"
                        + " so that the cluster starts a new one.",
                ANOTHER);
        end.accept(ANOTHER);
    }
}
