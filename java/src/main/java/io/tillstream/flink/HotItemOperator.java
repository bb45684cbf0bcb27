package io.tillstream.flink;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.util.SimpleVersionedListState;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * JSON objects to DynamoDB, one item per key: the newest version wins, whatever the order of arrival.
 * Out come dead letters, of items that no table takes.
 *
 * <p>Each subtask keeps the newest version of each key until it is written, so a hot key costs one
 * request for many updates. A request is conditional: it does not replace a newer version. An equal
 * version is replaced, for after a restore the replayed one is the truth. What is not written when a
 * checkpoint comes is kept in it and written after a restore, so nothing is lost, and a slow table
 * holds up no checkpoint. A full buffer slows the job down, see {@link HotItemWriter#add}.
 *
 * <p>An item whose record is old, as in a replay, may wait for half of that age (at most
 * {@code heldMs}) for newer versions of it, but no longer than until the job is up to date.
 *
 * <p>It is no {@code Sink}: those have no output for what they refuse. Its state has the name and the
 * layout that the sink of earlier releases had as one, so their savepoints restore.
 */
public final class HotItemOperator extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput {
    private static final long serialVersionUID = 1L;
    private static final ListStateDescriptor<byte[]> STATE =
            new ListStateDescriptor<>("writer_raw_states", BytePrimitiveArraySerializer.INSTANCE);
    /** A dead letter goes to Kafka, which takes no record of more than a megabyte. */
    private static final int MOST_BYTES = 600_000;
    private static final int MOST_MESSAGE = 500;

    private final HotItemSink sink;
    private transient ListState<byte[]> state;
    private transient List<byte[]> unwritten;
    private transient HotItemWriter writer;

    HotItemOperator(HotItemSink sink) {
        this.sink = sink;
    }

    @Override
    public void initializeState(StateInitializationContext context) throws Exception {
        super.initializeState(context);
        state =
                new SimpleVersionedListState<>(
                        context.getOperatorStateStore().getListState(STATE),
                        new HotItem.StateFormat());
        unwritten = new ArrayList<>();
        state.get().forEach(unwritten::add);
    }

    @Override
    public void open() throws Exception {
        super.open();
        writer =
                new HotItemWriter(
                        sink,
                        getMetricGroup(),
                        getContainingTask()
                                .getMailboxExecutorFactory()
                                .createExecutor(getOperatorConfig().getChainIndex()),
                        this::tell);
        writer.start(unwritten);
        unwritten = null;
    }

    @Override
    public void processElement(StreamRecord<byte[]> record) throws Exception {
        boolean timed = record.hasTimestamp() && record.getTimestamp() != Long.MIN_VALUE;
        writer.add(record.getValue(), timed ? record.getTimestamp() : null);
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
        super.prepareSnapshotPreBarrier(checkpointId);
        writer.settle();
    }

    @Override
    public void snapshotState(StateSnapshotContext context) throws Exception {
        super.snapshotState(context);
        state.update(writer.unwritten());
        writer.passed(context.getCheckpointTimestamp());
    }

    @Override
    public void endInput() throws Exception {
        writer.writeAll();
    }

    @Override
    public void close() throws Exception {
        if (writer != null) {
            writer.close();
        }
        super.close();
    }

    /** A dead letter of an item, its fields as {@code tillstream/domain/dead_letter.py} has them. */
    private void tell(byte[] item, String reason, String message) throws Exception {
        // It no longer knows its place in a stream: a hash is its origin, so twice is one letter.
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(item);
        StringBuilder origin = new StringBuilder(sink.job).append(':');
        for (int i = 0; i < 12; i++) {
            origin.append(String.format("%02x", hash[i]));
        }
        byte[] raw = PersonalData.mask(item);
        String cut = raw.length > MOST_BYTES ? " (its first bytes of " + raw.length + ")" : "";
        String masked =
                new String(
                        PersonalData.mask(message.getBytes(StandardCharsets.UTF_8)),
                        StandardCharsets.UTF_8);
        if (masked.length() > MOST_MESSAGE) {
            masked = masked.substring(0, MOST_MESSAGE);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (JsonGenerator json = Json.FACTORY.createGenerator(out)) {
            json.writeStartObject();
            json.writeStringField("dead_letter_id", origin.toString());
            json.writeStringField("job", sink.job);
            json.writeStringField("stage", "write");
            json.writeStringField("reason", reason);
            json.writeStringField("message", "table " + sink.table + ": " + masked + cut);
            byte[] kept = cut.isEmpty() ? raw : Arrays.copyOf(raw, MOST_BYTES);
            json.writeStringField("raw_b64", Base64.getEncoder().encodeToString(kept));
            json.writeStringField("origin", origin.toString());
            json.writeNumberField("schema_version", 1);
            json.writeNumberField("failed_at_ms", System.currentTimeMillis());
            json.writeEndObject();
        }
        LOG.warn("{} goes to the dead letters: {}: {}", origin, reason, masked);
        output.collect(new StreamRecord<>(out.toByteArray()));
    }
}
