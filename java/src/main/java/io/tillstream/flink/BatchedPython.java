package io.tillstream.flink;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.state.BroadcastState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.functions.python.DataStreamPythonFunctionInfo;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedDataStreamPythonFunctionOperator;
import org.apache.flink.streaming.api.operators.python.embedded.EmbeddedPythonKeyedCoProcessOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import pemja.core.object.PyIterator;

/**
 * A keyed Python function that is called once for many records.
 *
 * <p>A call from the JVM into Python and back, with a state access each way, costs more than most
 * rules. Here records wait until there are {@code batchSize} of them, or the first has waited
 * {@code lingerMs}, or a checkpoint or watermark comes. Then the states of their keys are read in
 * the JVM, and one call takes states and records to Python and brings new states and outputs back.
 * Nothing waits across a checkpoint, so state and outputs are what one call a record would give.
 *
 * <p>The second input is broadcast: every subtask sees each of its records, between two batches and
 * never within one. What Python asks to keep of it is broadcast state, and is shown to Python again
 * at a restore.
 *
 * <p>Python may ask to be woken for a key at a processing time. That is a timer of Flink's own, by key,
 * in savepoints, under the name and namespace that PyFlink's keyed functions use, so a function that
 * moves here from a KeyedProcessFunction finds its timers again. A timer that is due goes to Python
 * among the records of a batch, in its place, with the state of its key; like a record it never waits
 * across a checkpoint, so none is lost. Timers do not fire any more once the input has ended. Event
 * time has no timers but those by which keys are forgotten: see {@link StateLife}.
 *
 * <p>Bytes to Python, integers big-endian: {@code int keys, int records, long processing time}, per
 * key {@code int length, key, int length or -1, state}, per record {@code int key's number, int
 * length, record}; for a timer that is due, length -1 and {@code long} its time in the record's place.
 * From Python: a run of {@code byte kind, int record, int number, int length or -1, bytes} with kind 0
 * = state of key {@code number} (-1: none any more), 1 = output {@code number} (0 main, then the side
 * outputs) of the batch's {@code record}, whose timestamp it gets,
 * 2 = broadcast entry whose name of {@code number} bytes comes first (-1: remove it), 3 = timer for
 * key {@code number}, {@code long} time. A record of the second input goes to Python after a byte:
 * 0 = new, 1 = kept, shown again at a restore.
 */
public final class BatchedPython
        extends EmbeddedPythonKeyedCoProcessOperator<String, Row, Row, byte[]> {
    private static final long serialVersionUID = 1L;
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final long NO_TIMESTAMP = Long.MAX_VALUE;
    private static final int STATE = 0;
    private static final int OUTPUT = 1;
    private static final int BROADCAST = 2;
    private static final int TIMER = 3;
    private static final int NEW = 0;
    private static final int RESTORED = 1;
    private static final List<Long> NONE = List.of(NO_TIMESTAMP);
    private static final Logger LOG = LoggerFactory.getLogger(BatchedPython.class);

    /** Subtasks that are open in this JVM, so in its one interpreter: they take turns at its lock. */
    private static final AtomicInteger SHARING = new AtomicInteger();

    private final String stateName;
    private final long lifeMs;
    private final boolean byArrival;
    private final int batchSize;
    private final long lingerMs;
    private final List<OutputTag<byte[]>> sides = new ArrayList<>();

    private transient ValueState<byte[]> state;
    private transient InternalTimerService<VoidNamespace> timers;
    private transient BroadcastState<String, byte[]> broadcast;
    private transient Map<String, Integer> keys;
    private transient List<Object> contexts;
    private transient List<byte[]> records; // null: the next of dueTimes
    private transient List<Integer> keyNumbers;
    private transient List<Long> dueTimes;
    private transient List<Long> timestamps;
    private transient boolean lingering;
    private transient StreamRecord<byte[]> out;
    private transient boolean counted;

    /**
     * @param stateName name of the one keyed state, bytes of a codec of the function's own
     * @param lifeMs a key not written to for so long is forgotten; 0: never; -1: never, whatever the
     *     settings
     * @param byArrival whether {@link StateLife} is by arrival
     */
    public BatchedPython(
            Configuration configuration,
            DataStreamPythonFunctionInfo function,
            TypeInformation<Row> records,
            TypeInformation<Row> broadcast,
            String stateName,
            long lifeMs,
            boolean byArrival,
            int batchSize,
            long lingerMs) {
        super(configuration, function, records, broadcast, BYTES);
        this.stateName = stateName;
        this.lifeMs = lifeMs;
        this.byArrival = byArrival && lifeMs > 0;
        this.batchSize = batchSize;
        this.lingerMs = lingerMs;
    }

    /** Declares the next side output: the first is output 1. */
    public BatchedPython side(String name) {
        sides.add(new OutputTag<>(name, BYTES));
        return this;
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        broadcast =
                context.getOperatorStateStore()
                        .getBroadcastState(
                                new MapStateDescriptor<>(stateName + "-broadcast", Types.STRING, BYTES));
    }

    @Override
    public void open() throws Exception {
        keys = new LinkedHashMap<>();
        contexts = new ArrayList<>();
        records = new ArrayList<>();
        keyNumbers = new ArrayList<>();
        dueTimes = new ArrayList<>();
        timestamps = new ArrayList<>();
        out = new StreamRecord<>(null);
        super.open();
        // The one that super.open() has made: PyFlink's.
        timers = getInternalTimerService("user-timers", VoidNamespaceSerializer.INSTANCE, this);
        ValueStateDescriptor<byte[]> descriptor = new ValueStateDescriptor<>(stateName, BYTES);
        if (lifeMs >= 0) {
            StateLife.of(descriptor, lifeMs, byArrival);
        }
        state =
                getPartitionedState(
                        VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
        for (Map.Entry<String, byte[]> kept : broadcast.immutableEntries()) {
            call("process_element2", marked(RESTORED, kept.getValue()), null, NONE);
        }
        counted = true;
        LOG.info(
                "Python of {} runs in thread mode; subtasks that share this interpreter: {}",
                getOperatorName().split(" -> ")[0], // the head of a chain is called after all of it
                SHARING.incrementAndGet());
        MetricGroup reported = getMetricGroup().addGroup(Reported.GROUP);
        reported.gauge("pythonThreadMode", () -> 1);
        reported.gauge("pythonSubtasksPerInterpreter", SHARING::get);
    }

    @Override
    public void close() throws Exception {
        if (counted) {
            counted = false;
            SHARING.decrementAndGet();
        }
        super.close();
    }

    @Override
    public void processElement1(StreamRecord<Row> record) throws Exception {
        Row row = record.getValue();
        add((String) row.getField(0), (byte[]) row.getField(1), timestamp(record));
    }

    @Override
    public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        dueTimes.add(timer.getTimestamp());
        add((String) ((Row) getCurrentKey()).getField(0), null, NO_TIMESTAMP);
    }

    @Override
    public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
        // A drained job ends the stream's time, but may be restored all the same.
        if (byArrival && timers.currentWatermark() < Long.MAX_VALUE) {
            state.clear(); // no record waits: a watermark comes after all that came before it
        }
    }

    /** The current key's state was written in a batch of these times. */
    private void forgetAfter(List<Long> times) throws Exception {
        long newest = Long.MIN_VALUE;
        for (long time : times) {
            newest = time == NO_TIMESTAMP ? newest : Math.max(newest, time);
        }
        if (newest != Long.MIN_VALUE) {
            timers.registerEventTimeTimer(
                    VoidNamespace.INSTANCE,
                    StateLife.endMs(newest, timers.currentWatermark(), lifeMs));
        }
    }

    private static long timestamp(StreamRecord<Row> record) {
        return record.hasTimestamp() ? record.getTimestamp() : NO_TIMESTAMP;
    }

    /** {@code record} is of the engine's current key. */
    private void add(String key, byte[] record, long timestamp) throws Exception {
        Integer number = keys.get(key);
        if (number == null) {
            number = keys.size();
            keys.put(key, number);
            contexts.add(getCurrentKey());
        }
        keyNumbers.add(number);
        records.add(record);
        timestamps.add(timestamp);
        if (records.size() >= batchSize) {
            flush();
        } else if (!lingering) {
            lingering = true;
            getProcessingTimeService().registerTimer(now() + lingerMs, this::lingered);
        }
    }

    private void lingered(long time) throws Exception {
        lingering = false;
        flush();
    }

    private long now() {
        return getProcessingTimeService().getCurrentProcessingTime();
    }

    @Override
    public void processElement2(StreamRecord<Row> record) throws Exception {
        flush();
        byte[] value = marked(NEW, (byte[]) record.getValue().getField(1));
        call("process_element2", value, null, List.of(timestamp(record)));
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        flush();
        super.prepareSnapshotPreBarrier(checkpointId);
    }

    @Override
    public void processWatermark(Watermark mark) throws Exception {
        flush();
        super.processWatermark(mark);
    }

    @Override
    public void endInput(int input) throws Exception {
        flush();
        super.endInput(input);
    }

    @Override
    public void finish() throws Exception {
        flush();
        super.finish();
    }

    private void flush() throws Exception {
        if (records.isEmpty()) {
            return;
        }
        byte[] batch = packed();
        List<Object> batchContexts = contexts;
        List<Long> batchTimestamps = timestamps;
        contexts = new ArrayList<>();
        timestamps = new ArrayList<>();
        keys.clear();
        records.clear();
        keyNumbers.clear();
        dueTimes.clear();
        call("process_element1", batch, batchContexts, batchTimestamps);
    }

    /** An output, with the time of the record it comes of: one old record ages no other. */
    private StreamRecord<byte[]> stamped(byte[] value, long timestamp) {
        out.replace(value);
        if (timestamp == NO_TIMESTAMP) {
            out.eraseTimestamp();
        } else {
            out.setTimestamp(timestamp);
        }
        return out;
    }

    private byte[] packed() throws Exception {
        int size = 16;
        byte[][] keyBytes = new byte[keys.size()][];
        byte[][] states = new byte[keys.size()][];
        int next = 0;
        for (String key : keys.keySet()) {
            setCurrentKey(contexts.get(next));
            keyBytes[next] = key.getBytes(StandardCharsets.UTF_8);
            states[next] = state.value();
            size += 8 + keyBytes[next].length + (states[next] == null ? 0 : states[next].length);
            next++;
        }
        for (byte[] record : records) {
            size += 8 + (record == null ? 8 : record.length);
        }
        ByteBuffer batch = ByteBuffer.allocate(size);
        batch.putInt(keys.size()).putInt(records.size()).putLong(now());
        for (int i = 0; i < keyBytes.length; i++) {
            batch.putInt(keyBytes[i].length).put(keyBytes[i]);
            if (states[i] == null) {
                batch.putInt(-1);
            } else {
                batch.putInt(states[i].length).put(states[i]);
            }
        }
        Iterator<Long> due = dueTimes.iterator();
        for (int i = 0; i < records.size(); i++) {
            byte[] record = records.get(i);
            batch.putInt(keyNumbers.get(i));
            if (record == null) {
                batch.putInt(-1).putLong(due.next());
            } else {
                batch.putInt(record.length).put(record);
            }
        }
        return batch.array();
    }

    /**
     * {@code batchContexts}: the engine's keys by number; null for a broadcast record. {@code times}:
     * timestamps of its records.
     */
    private void call(String method, byte[] value, List<Object> batchContexts, List<Long> times)
            throws Exception {
        // As PyFlink's converter gives a row: its kind (insert), then its fields.
        Object row = new Object[] {(byte) 0, new Object[] {"", value}};
        PyIterator results = (PyIterator) interpreter.invokeMethod("operation", method, row);
        while (results.hasNext()) {
            apply(ByteBuffer.wrap((byte[]) results.next()), batchContexts, times);
        }
        results.close();
    }

    private void apply(ByteBuffer made, List<Object> batchContexts, List<Long> times)
            throws Exception {
        while (made.hasRemaining()) {
            int kind = made.get();
            int record = made.getInt();
            int number = made.getInt();
            int length = made.getInt();
            String entry =
                    kind == BROADCAST
                            ? new String(take(made, number), StandardCharsets.UTF_8)
                            : null;
            byte[] value = length < 0 ? null : take(made, length);
            if (kind == STATE) {
                setCurrentKey(batchContexts.get(number));
                state.update(value);
                if (byArrival) {
                    forgetAfter(times);
                }
            } else if (kind == TIMER) {
                setCurrentKey(batchContexts.get(number));
                timers.registerProcessingTimeTimer(
                        VoidNamespace.INSTANCE, ByteBuffer.wrap(value).getLong());
            } else if (kind == OUTPUT && number == 0) {
                output.collect(stamped(value, times.get(record)));
            } else if (kind == OUTPUT) {
                output.collect(sides.get(number - 1), stamped(value, times.get(record)));
            } else if (kind == BROADCAST && value == null) {
                broadcast.remove(entry);
            } else if (kind == BROADCAST) {
                broadcast.put(entry, value);
            } else {
                throw new IllegalStateException("a batch came back with kind " + kind);
            }
        }
    }

    private static byte[] marked(int mark, byte[] value) {
        return ByteBuffer.allocate(value.length + 1).put((byte) mark).put(value).array();
    }

    private static byte[] take(ByteBuffer from, int length) {
        byte[] bytes = new byte[length];
        from.get(bytes);
        return bytes;
    }

    @Override
    public <T> AbstractEmbeddedDataStreamPythonFunctionOperator<T> copy(
            DataStreamPythonFunctionInfo function, TypeInformation<T> outputType) {
        throw new UnsupportedOperationException("a batched Python function is not chained to another");
    }
}
