package io.tillstream.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.ThreadSafeSimpleCounter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
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
 * <p>{@link #lock} guards all mutable fields. A checkpoint waits for a moment until what is urgent is
 * written; what is not by then, or is held, is kept in the checkpoint and written after a restore.
 */
final class HotItemWriter implements StatefulSinkWriter<byte[], byte[]> {
    private static final long CHECKPOINT_PATIENCE_MS = 500;
    /** A record that arrived so long ago is being caught up with. */
    private static final long OLD_MS = 10_000;
    /** Its item may wait for half the time by which it is late anyway. */
    private static final int HELD_SHARE = 2;
    /** No old record for so long: nothing is held any more. */
    private static final long LIVE_AFTER_NANOS = TimeUnit.SECONDS.toNanos(2);
    private static final long LONGEST_NAP_NANOS = TimeUnit.SECONDS.toNanos(1);
    private static final long FIRST_BACKOFF_MS = 50;
    private static final long LONGEST_BACKOFF_MS = 5_000;
    private static final long LONGEST_THROTTLED_BACKOFF_MS = 20_000;
    private static final String NOT_NEWER_THERE = "attribute_not_exists(#v) OR #v <= :v";

    private final HotItemSink sink;
    private final DynamoDbClient client;
    private final MailboxExecutor mailbox;
    private final HotItem.Format format;
    private final Map<String, String> versionName;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final HotItemBuffer buffer;
    private long lastOldNanos = System.nanoTime();
    private IOException failure;
    private boolean closed;
    private final Thread[] workers;

    private final Counter written = new ThreadSafeSimpleCounter();
    private final Counter superseded = new ThreadSafeSimpleCounter();
    private final Counter coalesced = new ThreadSafeSimpleCounter();
    private final Counter retries = new ThreadSafeSimpleCounter();

    HotItemWriter(
            HotItemSink sink,
            DynamoDbClient client,
            SinkWriterMetricGroup metrics,
            MailboxExecutor mailbox,
            Collection<byte[]> unwritten)
            throws IOException {
        this.sink = sink;
        this.client = client;
        this.mailbox = mailbox;
        format = new HotItem.Format(sink);
        buffer = new HotItemBuffer(sink.bufferedItems, sink.merge);
        long now = System.nanoTime();
        for (byte[] json : unwritten) {
            buffer.add(format.parse(json, now), now);
        }
        versionName = Map.of("#v", sink.attributes.get(sink.versionPosition).name);
        metrics.counter("written", written);
        metrics.counter("superseded", superseded);
        metrics.counter("coalesced", coalesced);
        metrics.counter("retries", retries);
        metrics.gauge("waiting", buffer::size);
        metrics.gauge("held", buffer::held);
        workers = new Thread[sink.inFlight];
        for (int i = 0; i < workers.length; i++) {
            workers[i] = new Thread(this::writeUntilClosed, "hot-item-" + sink.table + '-' + i);
            workers[i].setDaemon(true);
            // Classes of the SDK are loaded by name: give threads the job's class loader.
            workers[i].setContextClassLoader(getClass().getClassLoader());
            workers[i].start();
        }
    }

    @Override
    public void write(byte[] json, Context context) throws IOException, InterruptedException {
        long now = System.nanoTime();
        long heldNanos = heldNanos(context.timestamp());
        HotItem item = format.parse(json, now + heldNanos);
        lock.lockInterruptibly();
        try {
            while (failure == null && buffer.isFull() && !buffer.contains(item.key)) {
                room.await();
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

    /** Waits for a moment for what is urgent, at the end of the input until all is written. */
    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        long left = TimeUnit.MILLISECONDS.toNanos(CHECKPOINT_PATIENCE_MS);
        lock.lockInterruptibly();
        try {
            if (endOfInput) {
                buffer.releaseAll();
                work.signalAll();
            }
            while (failure == null && !(endOfInput ? buffer.isEmpty() : buffer.nothingUrgent())) {
                if (endOfInput) {
                    room.await();
                } else if (left <= 0) {
                    break;
                } else {
                    left = room.awaitNanos(left);
                }
            }
            throwIfFailed();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public List<byte[]> snapshotState(long checkpointId) throws IOException {
        List<HotItem> unwritten;
        lock.lock();
        try {
            unwritten = buffer.unwritten();
        } finally {
            lock.unlock();
        }
        List<byte[]> state = new ArrayList<>(unwritten.size());
        for (HotItem item : unwritten) {
            state.add(format.json(item));
        }
        return state;
    }

    @Override
    public void close() throws InterruptedException {
        lock.lock();
        try {
            closed = true;
            work.signalAll();
        } finally {
            lock.unlock();
        }
        for (Thread worker : workers) {
            worker.interrupt();
        }
        for (Thread worker : workers) {
            worker.join(sink.requestTimeoutMs);
        }
        client.close();
    }

    private void throwIfFailed() throws IOException {
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
        } catch (InterruptedException stopping) {
            Thread.currentThread().interrupt();
        } catch (IOException broken) {
            fail(broken);
        } catch (RuntimeException broken) {
            fail(new IOException(sink.where() + ": " + broken, broken));
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
            buffer.written(item);
            if (buffer.contains(item.key)) {
                work.signal(); // a newer version waited for this request
            }
            room.signalAll();
        } finally {
            lock.unlock();
        }
    }

    private void fail(IOException broken) {
        lock.lock();
        try {
            if (closed || failure != null) {
                return;
            }
            failure = broken;
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
                    client.updateItem(change(item));
                } else {
                    client.putItem(request(item));
                }
                written.inc();
                return item;
            } catch (ConditionalCheckFailedException newerIsThere) {
                superseded.inc();
                return item;
            } catch (SdkException problem) {
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
                if (!passing(problem)) {
                    throw new IOException(sink.where() + ": " + problem.getMessage(), problem);
                }
                if (attempt >= sink.attempts) {
                    throw new IOException(
                            sink.where() + ": gave up after " + attempt + " attempts: "
                                    + problem.getMessage(),
                            problem);
                }
                retries.inc();
                TimeUnit.MILLISECONDS.sleep(backoffMs(attempt, throttled(problem)));
                item = newest(item);
            }
        }
    }

    private HotItem newest(HotItem item) {
        lock.lock();
        try {
            HotItem newer = buffer.newerThan(item);
            if (newer == null) {
                return item;
            }
            coalesced.inc();
            room.signalAll();
            return newer;
        } finally {
            lock.unlock();
        }
    }

    private static boolean throttled(SdkException problem) {
        return problem instanceof AwsServiceException
                && ((AwsServiceException) problem).isThrottlingException();
    }

    /** Whether trying again can help: the network, a time-out, a throttled or failing service. */
    private static boolean passing(SdkException problem) {
        if (problem instanceof AwsServiceException) {
            int status = ((AwsServiceException) problem).statusCode();
            return throttled(problem) || status >= 500 || problem.retryable();
        }
        return true;
    }

    /** Doubles from 50 ms, half of it by chance so that subtasks do not retry in step. */
    private static long backoffMs(int attempt, boolean throttled) {
        long longest = throttled ? LONGEST_THROTTLED_BACKOFF_MS : LONGEST_BACKOFF_MS;
        long full = Math.min(longest, FIRST_BACKOFF_MS << Math.min(attempt - 1, 20));
        return full / 2 + ThreadLocalRandom.current().nextLong(full / 2 + 1);
    }

    private PutItemRequest request(HotItem item) {
        Map<String, AttributeValue> attributes = new HashMap<>();
        for (int i = 0; i < item.values.length; i++) {
            if (item.values[i] != null) {
                attributes.put(sink.attributes.get(i).name, typed(i, item.values[i]));
            }
        }
        return PutItemRequest.builder()
                .tableName(sink.table)
                .item(attributes)
                .conditionExpression(NOT_NEWER_THERE)
                .expressionAttributeNames(versionName)
                .expressionAttributeValues(
                        Map.of(":v", AttributeValue.fromN(item.values[sink.versionPosition])))
                .build();
    }

    private UpdateItemRequest change(HotItem item) {
        Map<String, AttributeValue> key = new HashMap<>();
        Map<String, String> names = new HashMap<>(versionName);
        Map<String, AttributeValue> values = new HashMap<>();
        StringJoiner sets = new StringJoiner(", ", "SET ", "");
        StringJoiner removes = new StringJoiner(", ", " REMOVE ", "").setEmptyValue("");
        for (int i = 0; i < item.values.length; i++) {
            String value = item.values[i];
            String name = sink.attributes.get(i).name;
            if (i == sink.keyPosition) {
                key.put(name, typed(i, value));
            } else if (value == HotItem.REMOVED) {
                names.put("#a" + i, name);
                removes.add("#a" + i);
            } else if (i == sink.versionPosition) {
                values.put(":v", typed(i, value));
                sets.add("#v = :v");
            } else if (value != null) {
                names.put("#a" + i, name);
                values.put(":a" + i, typed(i, value));
                sets.add("#a" + i + " = :a" + i);
            }
        }
        return UpdateItemRequest.builder()
                .tableName(sink.table)
                .key(key)
                .updateExpression(sets.toString() + removes)
                .conditionExpression(NOT_NEWER_THERE)
                .expressionAttributeNames(names)
                .expressionAttributeValues(values)
                .build();
    }

    private AttributeValue typed(int position, String value) {
        return sink.attributes.get(position).number
                ? AttributeValue.fromN(value)
                : AttributeValue.fromS(value);
    }
}
