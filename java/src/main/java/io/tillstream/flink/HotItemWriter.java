package io.tillstream.flink;

import java.io.IOException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.StringJoiner;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.ThreadSafeSimpleCounter;
import org.apache.flink.metrics.groups.SinkWriterMetricGroup;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
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
 * <p>An item is either waiting (at most one version per key, the newest) or in flight (at most one
 * request per key). {@link #lock} guards all mutable fields.
 */
final class HotItemWriter implements SinkWriter<byte[]> {
    private static final long FIRST_BACKOFF_MS = 50;
    private static final long LONGEST_BACKOFF_MS = 5_000;
    private static final long LONGEST_THROTTLED_BACKOFF_MS = 20_000;
    /** A field that is there and null; told from an absent one by identity. */
    private static final String REMOVED = new String("null");

    private static final String NOT_NEWER_THERE = "attribute_not_exists(#v) OR #v <= :v";

    /** One version of an item; {@code values} in the order of the sink's attributes, null if absent. */
    private static final class Item {
        final String key;
        final long version;
        final String[] values;

        Item(String key, long version, String[] values) {
            this.key = key;
            this.version = version;
            this.values = values;
        }
    }

    private final HotItemSink sink;
    private final DynamoDbClient client;
    private final MailboxExecutor mailbox;
    private final Map<String, Integer> positions = new HashMap<>();
    private final Map<String, String> versionName;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition work = lock.newCondition();
    private final Condition room = lock.newCondition();
    private final Map<String, Item> waiting = new LinkedHashMap<>();
    private final Set<String> inFlight = new HashSet<>();
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
            MailboxExecutor mailbox) {
        this.sink = sink;
        this.client = client;
        this.mailbox = mailbox;
        for (int i = 0; i < sink.attributes.size(); i++) {
            positions.put(sink.attributes.get(i).field, i);
        }
        versionName = Map.of("#v", sink.attributes.get(sink.versionPosition).name);
        metrics.counter("written", written);
        metrics.counter("superseded", superseded);
        metrics.counter("coalesced", coalesced);
        metrics.counter("retries", retries);
        metrics.gauge("waiting", waiting::size);
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
        Item item = parse(json);
        lock.lockInterruptibly();
        try {
            while (failure == null
                    && waiting.size() >= sink.bufferedItems
                    && !waiting.containsKey(item.key)) {
                room.await();
            }
            throwIfFailed();
            Item older = waiting.get(item.key);
            if (older == null) {
                waiting.put(item.key, item);
                work.signal();
            } else {
                coalesced.inc();
                waiting.put(
                        item.key,
                        item.version >= older.version ? over(older, item) : over(item, older));
            }
        } finally {
            lock.unlock();
        }
    }

    /** Blocks until every item taken so far is in the table. */
    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
        lock.lockInterruptibly();
        try {
            while (failure == null && !(waiting.isEmpty() && inFlight.isEmpty())) {
                room.await();
            }
            throwIfFailed();
        } finally {
            lock.unlock();
        }
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
            Item item;
            while ((item = take()) != null) {
                put(item);
                done(item);
            }
        } catch (InterruptedException stopping) {
            Thread.currentThread().interrupt();
        } catch (IOException broken) {
            fail(broken);
        } catch (RuntimeException broken) {
            fail(new IOException(sink.where() + ": " + broken, broken));
        }
    }

    /** The longest waiting item without a request in flight; null when closed. */
    private Item take() throws InterruptedException {
        lock.lockInterruptibly();
        try {
            while (!closed && failure == null) {
                Iterator<Item> oldestFirst = waiting.values().iterator();
                while (oldestFirst.hasNext()) { // skips at most as many as there are threads
                    Item item = oldestFirst.next();
                    if (inFlight.add(item.key)) {
                        oldestFirst.remove();
                        room.signalAll();
                        return item;
                    }
                }
                work.await();
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    private void done(Item item) {
        lock.lock();
        try {
            inFlight.remove(item.key);
            if (waiting.containsKey(item.key)) {
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

    private void put(Item first) throws IOException, InterruptedException {
        Item item = first;
        for (int attempt = 1; ; attempt++) {
            try {
                if (sink.merge) {
                    client.updateItem(change(item));
                } else {
                    client.putItem(request(item));
                }
                written.inc();
                return;
            } catch (ConditionalCheckFailedException newerIsThere) {
                superseded.inc();
                return;
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

    private Item newest(Item item) {
        lock.lock();
        try {
            Item newer = waiting.get(item.key);
            if (newer == null || newer.version < item.version) {
                return item;
            }
            waiting.remove(item.key);
            coalesced.inc();
            room.signalAll();
            return over(item, newer);
        } finally {
            lock.unlock();
        }
    }

    /** The newer version; when merging, with what only the older one brings. */
    private Item over(Item older, Item newer) {
        if (!sink.merge) {
            return newer;
        }
        String[] values = newer.values.clone();
        for (int i = 0; i < values.length; i++) {
            if (values[i] == null) {
                values[i] = older.values[i];
            }
        }
        return new Item(newer.key, newer.version, values);
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

    private PutItemRequest request(Item item) {
        Map<String, AttributeValue> attributes = new HashMap<>();
        for (int i = 0; i < item.values.length; i++) {
            String value = item.values[i];
            if (value != null && value != REMOVED) {
                attributes.put(sink.attributes.get(i).name, typed(i, value));
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

    private UpdateItemRequest change(Item item) {
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
            } else if (value == REMOVED) {
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

    private Item parse(byte[] json) throws IOException {
        String[] values = new String[sink.attributes.size()];
        try (JsonParser parser = TopLevelField.JSON.createParser(json)) {
            parser.nextToken();
            String field;
            while ((field = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                Integer position = positions.get(field);
                if (position != null) {
                    boolean there = token.isScalarValue() && token != JsonToken.VALUE_NULL;
                    boolean removed = sink.merge && token == JsonToken.VALUE_NULL;
                    values[position] = there ? parser.getText() : removed ? REMOVED : null;
                }
                parser.skipChildren();
            }
        }
        String key = values[sink.keyPosition];
        String version = values[sink.versionPosition];
        if (key == null || version == null) {
            throw new IOException(
                    sink.where() + ": a record has no "
                            + sink.attributes.get(key == null ? sink.keyPosition : sink.versionPosition)
                                    .field);
        }
        return new Item(key, Long.parseLong(version), values);
    }
}
