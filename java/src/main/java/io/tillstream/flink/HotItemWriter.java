package io.tillstream.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.ThreadSafeSimpleCounter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.PutItemRequest;
import software.amazon.awssdk.services.dynamodb.model.UpdateItemRequest;

/**
 * The buffer of one subtask and the threads that empty it.
 *
 * <p>{@link #lock} guards all mutable fields. No checkpoint waits for the table: what is not written,
 * or is held, is kept in it and written after a restore.
 *
 * <p>A table that throttles, fails or cannot be reached is asked again, ever more slowly. Only when
 * nothing at all could be written for {@code giveUpAfterMs} the job fails: a restart would help no
 * more than waiting, but it is seen.
 */
final class HotItemWriter {
    /** Where an item goes that no table takes. */
    interface Refused {
        void tell(byte[] item, String reason, String message) throws Exception;
    }

    private static final Logger LOG = LoggerFactory.getLogger(HotItemWriter.class);
    /** An item may have 400 KB: so many bytes fill the buffer, however few items they are. */
    private static final long BUFFERED_BYTES = 64L << 20;
    private static final String REFUSED = "refused_by_table";
    /** More refused by the table since the start, and it is the table or the release, not the items. */
    private static final int MOST_REFUSED = 100;
    /** A checkpoint waits so long for a table that keeps up, so that a job that stops has written all. */
    private static final long PATIENCE_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
    /** For a buffer twice as full as it may be: more wait for each record, barrier or not. */
    private static final long OVERFULL_NANOS = TimeUnit.MILLISECONDS.toNanos(10);
    /** A record that arrived so long ago is being caught up with. */
    private static final long OLD_MS = 10_000;
    /** Its item may wait for half the time by which it is late anyway. */
    private static final int HELD_SHARE = 2;
    /** No old record for so long: nothing is held any more. */
    private static final long LIVE_AFTER_NANOS = TimeUnit.SECONDS.toNanos(2);
    private static final long LONGEST_NAP_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final long FIRST_BACKOFF_MS = 50;
    private static final long LONGEST_BACKOFF_MS = 5_000;
    private static final long COMPLAIN_NANOS = TimeUnit.MINUTES.toNanos(1);

    private final HotItemSink sink;
    private final DynamoDbClient client;
    private final MailboxExecutor mailbox;
    private final Refused refused;
    private final HotItem.Format format;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final HotItemBuffer buffer;
    /** Items refused by the table and not told yet, each with the reason. */
    private final List<Map.Entry<HotItem, String>> turnedDown = new ArrayList<>();
    private int refusedByTable;
    private long lastOldNanos = System.nanoTime();
    private long triggeredMs = System.currentTimeMillis(); // the task's thread alone uses it
    /** Since when nothing could be written, and when that was said last; null: it can. */
    private Long failingSinceNanos;
    private long complainedNanos;
    private Throwable failure;
    private boolean closed;
    private final Thread[] workers;

    private final Counter written = new ThreadSafeSimpleCounter();
    private final Counter superseded = new ThreadSafeSimpleCounter();
    private final Counter coalesced = new ThreadSafeSimpleCounter();
    private final Counter retries = new ThreadSafeSimpleCounter();
    private final Counter refusals = new ThreadSafeSimpleCounter();

    /** {@code refused} is called on the task's thread. */
    HotItemWriter(HotItemSink sink, MetricGroup metrics, MailboxExecutor mailbox, Refused refused) {
        this.sink = sink;
        this.mailbox = mailbox;
        this.refused = refused;
        client = sink.client();
        format = new HotItem.Format(sink);
        buffer = new HotItemBuffer(sink.bufferedItems, BUFFERED_BYTES, format);
        metrics.counter("written", written);
        metrics.counter("superseded", superseded);
        metrics.counter("coalesced", coalesced);
        metrics.counter("retries", retries);
        metrics.counter("refused", refusals);
        metrics.gauge("waiting", buffer::size);
        metrics.gauge("held", buffer::held);
        metrics.gauge("oldestWaitingMs", this::oldestMs);
        workers = new Thread[sink.inFlight];
    }

    /** Begins to write; {@code unwritten}: what the last run could not. */
    void start(List<byte[]> unwritten) throws Exception {
        long now = System.nanoTime();
        for (byte[] json : unwritten) {
            HotItem item = parsed(json, now, now);
            if (item != null) {
                buffer.add(item, now);
            }
        }
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Thread(this::writeUntilClosed, "hot-item-" + sink.table + '-' + i);
            workers[i].setDaemon(true);
            // Classes of the SDK are loaded by name: give threads the job's class loader.
            workers[i].setContextClassLoader(getClass().getClassLoader());
            workers[i].start();
        }
    }

    /**
     * Takes a record in. While the buffer is full it waits for room, which slows the job down, but only
     * until the next checkpoint is due: its barrier is behind the records that wait here, and has to
     * come through whatever the table does. What is between here and the barrier is taken in then.
     * With the engine's buffer debloating that is ever less, the slower the table is.
     */
    void add(byte[] json, Long arrivedMs) throws Exception {
        long now = System.nanoTime();
        long heldNanos = heldNanos(arrivedMs);
        HotItem item = parsed(json, now, now + heldNanos);
        if (item == null) {
            return;
        }
        lock.lockInterruptibly();
        try {
            long left = Math.max(nanosToBarrier(), buffer.isOverfull() ? OVERFULL_NANOS : 0);
            while (failure == null && left > 0 && buffer.isFull() && !buffer.contains(item.key)) {
                left = room.awaitNanos(left);
            }
            throwIfFailed();
            if (buffer.add(item, now)) {
                coalesced.inc();
            }
            if (heldNanos > 0) {
                lastOldNanos = now;
            }
            if (heldNanos == 0 || buffer.isFilling()) {
                work.signal();
            }
        } finally {
            lock.unlock();
        }
    }

    private long nanosToBarrier() {
        if (sink.checkpointIntervalMs <= 0) {
            return Long.MAX_VALUE;
        }
        long dueMs = triggeredMs + sink.checkpointIntervalMs;
        return TimeUnit.MILLISECONDS.toNanos(dueMs - System.currentTimeMillis());
    }

    /** A barrier has come that was sent off then, by the machines' clocks. */
    void passed(long triggeredMs) {
        this.triggeredMs = triggeredMs;
    }

    /** Null if no table takes it: then it has been told. */
    private HotItem parsed(byte[] json, long sinceNanos, long dueNanos) throws Exception {
        try {
            return format.parse(json, sinceNanos, dueNanos);
        } catch (HotItemRefusal refusal) {
            refusals.inc();
            refused.tell(json, refusal.reason, refusal.getMessage());
            return null;
        }
    }

    /**
     * How long an item may wait for a newer version: nothing for a record of now. In a replay of
     * records that are minutes old most versions are overtaken by the next, and writing each would
     * cost more than the whole rest of the job. What is held when the job is up to date is written
     * then, after what is urgent.
     */
    private long heldNanos(Long arrivedMs) {
        if (arrivedMs == null || sink.heldMs == 0) {
            return 0;
        }
        long behindMs = System.currentTimeMillis() - arrivedMs;
        if (behindMs < OLD_MS) {
            return 0;
        }
        return TimeUnit.MILLISECONDS.toNanos(Math.min(behindMs / HELD_SHARE, sink.heldMs));
    }

    /**
     * Before a checkpoint: tells what the table refused, and waits for a moment for what is urgent,
     * unless the table is behind anyway.
     */
    void settle() throws Exception {
        lock.lockInterruptibly();
        try {
            long left = PATIENCE_NANOS - buffer.oldestNanos(System.nanoTime());
            while (failure == null && left > 0 && !buffer.nothingUrgent()) {
                left = room.awaitNanos(left);
            }
        } finally {
            lock.unlock();
        }
        tellRefused();
    }

    /** At the end of the input: returns when all is written or told. */
    void writeAll() throws Exception {
        lock.lockInterruptibly();
        try {
            buffer.releaseAll();
            work.signalAll();
            while (failure == null && !buffer.isEmpty()) {
                room.await();
            }
        } finally {
            lock.unlock();
        }
        tellRefused();
    }

    /** What a checkpoint keeps: all items that are neither known to be written nor told. */
    List<byte[]> unwritten() throws IOException {
        List<HotItem> items;
        lock.lock();
        try {
            items = buffer.unwritten();
            turnedDown.forEach(one -> items.add(one.getKey()));
        } finally {
            lock.unlock();
        }
        List<byte[]> state = new ArrayList<>(items.size());
        for (HotItem item : items) {
            state.add(format.json(item));
        }
        return state;
    }

    private void tellRefused() throws Exception {
        List<Map.Entry<HotItem, String>> told;
        lock.lockInterruptibly();
        try {
            throwIfFailed();
            told = List.copyOf(turnedDown);
            turnedDown.clear();
        } finally {
            lock.unlock();
        }
        for (Map.Entry<HotItem, String> one : told) {
            refusals.inc();
            refused.tell(format.json(one.getKey()), REFUSED, one.getValue());
        }
    }

    void close() throws InterruptedException {
        lock.lock();
        try {
            closed = true;
            work.signalAll();
        } finally {
            lock.unlock();
        }
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(sink.requestTimeoutMs);
        for (Thread worker : workers) {
            if (worker != null) {
                worker.interrupt();
            }
        }
        for (Thread worker : workers) {
            if (worker != null) {
                long leftMs = TimeUnit.NANOSECONDS.toMillis(until - System.nanoTime());
                worker.join(Math.max(1, leftMs));
            }
        }
        client.close();
    }

    private long oldestMs() {
        lock.lock();
        try {
            return TimeUnit.NANOSECONDS.toMillis(buffer.oldestNanos(System.nanoTime()));
        } finally {
            lock.unlock();
        }
    }

    private void throwIfFailed() throws IOException {
        if (failure instanceof Error) {
            throw (Error) failure; // the engine knows which of them end the process
        }
        if (failure != null) {
            throw new IOException(failure.getMessage(), failure);
        }
    }

    private void writeUntilClosed() {
        try {
            HotItem item;
            while ((item = take()) != null) {
                done(put(item));
            }
        } catch (Throwable broken) { // errors too: nobody else would see that this thread is gone
            fail(broken);
        }
    }

    /** The next item to write; null when closed. */
    private HotItem take() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (!closed && failure == null) {
                long now = System.nanoTime();
                HotItem item = buffer.take(now, now - lastOldNanos > LIVE_AFTER_NANOS);
                if (item != null) {
                    room.signalAll();
                    return item;
                }
                work.awaitNanos(Math.min(buffer.nanosToNext(now), LONGEST_NAP_NANOS));
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    private void done(HotItem item) {
        lock.lock();
        try {
            if (buffer.done(item, System.nanoTime())) {
                work.signal();
            }
            room.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void fail(Throwable broken) {
        lock.lock();
        try {
            if (closed || failure != null) {
                return;
            }
            failure =
                    broken instanceof IOException || broken instanceof Error
                            ? broken
                            : new IOException(sink.where() + ": " + broken, broken);
            work.signalAll();
            room.signalAll();
        } finally {
            lock.unlock();
        }
        // Not only at the next record or checkpoint: fail the job now.
        mailbox.execute(this::throwIfFailed, "hot item could not be written");
    }

    /** Writes the item, or a newer version that came between two tries; returns which. */
    private HotItem put(HotItem first) throws IOException, InterruptedException {
        HotItem item = first;
        for (int attempt = 1; ; attempt++) {
            try {
                if (sink.merge) {
                    change(item);
                } else {
                    replace(item);
                }
                answered();
                return item;
            } catch (RuntimeException broken) {
                // Interrupted when closed, but by the SDK too, at a time-out.
                if (Thread.interrupted() && isClosed()) {
                    throw new InterruptedException();
                }
                SdkException problem = ofSdk(broken);
                if (ofItem(problem)) {
                    answered();
                    turnDown(item, problem);
                    return item;
                }
                if (!passing(problem)) {
                    throw new IOException(sink.where() + ": " + problem.getMessage(), problem);
                }
                stillFailing(problem);
                retries.inc();
                TimeUnit.MILLISECONDS.sleep(backoffMs(attempt));
                item = newest(item);
            }
        }
    }

    private boolean isClosed() {
        lock.lock();
        try {
            return closed;
        } finally {
            lock.unlock();
        }
    }

    /** The SDK's exception in {@code broken}: a time-out while it reads an error comes wrapped. */
    private static SdkException ofSdk(RuntimeException broken) {
        for (Throwable cause = broken; cause != null; cause = cause.getCause()) {
            if (cause instanceof SdkException) {
                return (SdkException) cause;
            }
        }
        throw broken;
    }

    private void answered() {
        lock.lock();
        try {
            failingSinceNanos = null;
        } finally {
            lock.unlock();
        }
    }

    /** Throws IOException once nothing could be written for too long. */
    private void stillFailing(SdkException problem) throws IOException {
        lock.lock();
        try {
            long now = System.nanoTime();
            if (failingSinceNanos == null) {
                failingSinceNanos = now;
                complainedNanos = now;
            }
            long failingNanos = now - failingSinceNanos;
            if (failingNanos >= TimeUnit.MILLISECONDS.toNanos(sink.giveUpAfterMs)) {
                throw new IOException(
                        sink.where() + ": nothing could be written for "
                                + TimeUnit.NANOSECONDS.toSeconds(failingNanos) + " s: "
                                + problem.getMessage(),
                        problem);
            }
            if (now - complainedNanos >= COMPLAIN_NANOS) {
                complainedNanos = now;
                LOG.warn(
                        "{}: nothing could be written for {} s, {} items wait: {}",
                        sink.where(),
                        TimeUnit.NANOSECONDS.toSeconds(failingNanos),
                        buffer.size(),
                        problem.getMessage());
            }
        } finally {
            lock.unlock();
        }
    }

    private void turnDown(HotItem item, SdkException problem) throws IOException {
        lock.lock();
        try {
            if (++refusedByTable > MOST_REFUSED) {
                throw new IOException(
                        sink.where() + ": refused " + refusedByTable + " items since the start, last: "
                                + problem.getMessage(),
                        problem);
            }
            turnedDown.add(Map.entry(item, String.valueOf(problem.getMessage())));
        } finally {
            lock.unlock();
        }
        mailbox.execute(this::tellRefused, "hot item refused");
    }

    private HotItem newest(HotItem item) {
        lock.lock();
        try {
            HotItem newest = buffer.newest(item);
            if (newest != item) {
                coalesced.inc();
                room.signalAll();
            }
            return newest;
        } finally {
            lock.unlock();
        }
    }

    /** Whether the table takes everything but this item. */
    private static boolean ofItem(SdkException problem) {
        String code = code(problem);
        return "ValidationException".equals(code)
                || "ItemCollectionSizeLimitExceededException".equals(code);
    }

    /** DynamoDB's name of the error; null where the answer was cut, or came from what stands between. */
    private static String code(SdkException problem) {
        if (!(problem instanceof AwsServiceException)
                || ((AwsServiceException) problem).awsErrorDetails() == null) {
            return null;
        }
        return ((AwsServiceException) problem).awsErrorDetails().errorCode();
    }

    /** Whether trying again can help: the network, a time-out, a throttled or failing service. */
    private static boolean passing(SdkException problem) {
        if (problem instanceof AwsServiceException) {
            AwsServiceException answer = (AwsServiceException) problem;
            return answer.isThrottlingException()
                    || answer.isClockSkewException()
                    || answer.statusCode() >= 500
                    || code(problem) == null
                    || answer.retryable();
        }
        return true;
    }

    /** Doubles from 50 ms, half of it by chance so that subtasks do not retry in step. */
    private static long backoffMs(int attempt) {
        long full = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS << Math.min(attempt - 1, 20));
        return full / 2 + ThreadLocalRandom.current().nextLong(full / 2 + 1);
    }

    private void replace(HotItem item) {
        Map<String, AttributeValue> attributes = new HashMap<>();
        for (int i = 0; i < item.values.length; i++) {
            if (item.values[i] != null) {
                attributes.put(sink.attributes.get(i).name, typed(i, item.values[i]));
            }
        }
        try {
            client.putItem(
                    PutItemRequest.builder()
                            .tableName(sink.table)
                            .item(attributes)
                            .conditionExpression(notNewer(0))
                            .expressionAttributeNames(Map.of("#v0", sink.versions.get(0)))
                            .expressionAttributeValues(
                                    Map.of(":v0", AttributeValue.fromN(Long.toString(item.versions[0]))))
                            .build());
            written.inc();
        } catch (ConditionalCheckFailedException newerIsThere) {
            superseded.inc();
        }
    }

    /** All that the item brings, or, where some of it is overtaken, each group of fields by itself. */
    private void change(HotItem item) {
        List<Integer> groups = new ArrayList<>();
        for (int group = 0; group < item.versions.length; group++) {
            if (item.versions[group] != HotItem.ABSENT) {
                groups.add(group);
            }
        }
        if (changed(item, groups)) {
            written.inc();
        } else if (groups.size() == 1) {
            superseded.inc();
        } else {
            for (Integer group : groups) {
                (changed(item, List.of(group)) ? written : superseded).inc();
            }
        }
    }

    private boolean changed(HotItem item, List<Integer> groups) {
        Map<String, AttributeValue> key = new HashMap<>();
        Map<String, String> names = new HashMap<>();
        Map<String, AttributeValue> values = new HashMap<>();
        StringJoiner sets = new StringJoiner(", ", "SET ", "");
        StringJoiner removes = new StringJoiner(", ", " REMOVE ", "").setEmptyValue("");
        StringJoiner conditions = new StringJoiner(" AND ");
        for (int group : groups) {
            names.put("#v" + group, sink.versions.get(group));
            values.put(":v" + group, AttributeValue.fromN(Long.toString(item.versions[group])));
            sets.add("#v" + group + " = :v" + group);
            conditions.add('(' + notNewer(group) + ')');
        }
        for (int i = 0; i < item.values.length; i++) {
            String value = item.values[i];
            HotItemSink.Attribute attribute = sink.attributes.get(i);
            if (i == sink.keyPosition) {
                key.put(attribute.name, typed(i, value));
            } else if (i == sink.versionPosition || !groups.contains(attribute.group)) {
                continue;
            } else if (value == HotItem.REMOVED) {
                names.put("#a" + i, attribute.name);
                removes.add("#a" + i);
            } else if (value != null) {
                names.put("#a" + i, attribute.name);
                values.put(":a" + i, typed(i, value));
                sets.add("#a" + i + " = :a" + i);
            }
        }
        try {
            client.updateItem(
                    UpdateItemRequest.builder()
                            .tableName(sink.table)
                            .key(key)
                            .updateExpression(sets.toString() + removes)
                            .conditionExpression(conditions.toString())
                            .expressionAttributeNames(names)
                            .expressionAttributeValues(values)
                            .build());
            return true;
        } catch (ConditionalCheckFailedException newerIsThere) {
            return false;
        }
    }

    private static String notNewer(int group) {
        return "attribute_not_exists(#v" + group + ") OR #v" + group + " <= :v" + group;
    }

    private AttributeValue typed(int position, String value) {
        return sink.attributes.get(position).number
                ? AttributeValue.fromN(value)
                : AttributeValue.fromS(value);
    }
}
