package io.tillstream.flink;

import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.core.fs.FSDataInputStream;
import org.apache.flink.core.memory.DataInputViewStreamWrapper;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.OperatorState;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.apache.flink.runtime.state.CompletedCheckpointStorageLocation;
import org.apache.flink.runtime.state.FullSnapshotUtil;
import org.apache.flink.runtime.state.KeyGroupsSavepointStateHandle;
import org.apache.flink.runtime.state.KeyedBackendSerializationProxy;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.OperatorStateHandle;
import org.apache.flink.runtime.state.SnappyStreamCompressionDecorator;
import org.apache.flink.runtime.state.filesystem.AbstractFsCheckpointStorageAccess;
import org.apache.flink.runtime.state.metainfo.StateMetaInfoSnapshot;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;

/**
 * What a savepoint holds: {@code SavepointReport FOLDER SAMPLES} prints JSON.
 *
 * <p>Reads the canonical format, which every state backend writes and reads: for each keyed state its
 * entries as bytes of key and value. No value is decoded; only its first byte is looked at, which is
 * the version in our codec. The first SAMPLES entries of each state are shown, in base64.
 */
public final class SavepointReport {

    private final int samples;

    private SavepointReport(int samples) {
        this.samples = samples;
    }

    public static void main(String[] arguments) throws Exception {
        CompletedCheckpointStorageLocation location =
                AbstractFsCheckpointStorageAccess.resolveCheckpointPointer(arguments[0]);
        CheckpointMetadata metadata;
        try (DataInputStream in =
                new DataInputStream(location.getMetadataHandle().openInputStream())) {
            metadata =
                    Checkpoints.loadCheckpointMetadata(
                            in,
                            SavepointReport.class.getClassLoader(),
                            location.getExternalPointer());
        }
        OutputStream out = new BufferedOutputStream(System.out);
        try (JsonGenerator json = Json.FACTORY.createGenerator(out)) {
            new SavepointReport(Integer.parseInt(arguments[1])).write(metadata, json);
        }
    }

    private void write(CheckpointMetadata metadata, JsonGenerator json) throws Exception {
        json.writeStartObject();
        json.writeNumberField("checkpoint_id", metadata.getCheckpointId());
        json.writeArrayFieldStart("operators");
        for (OperatorState operator : metadata.getOperatorStates()) {
            json.writeStartObject();
            json.writeStringField("id", operator.getOperatorID().toHexString());
            json.writeNumberField("parallelism", operator.getParallelism());
            json.writeNumberField("max_parallelism", operator.getMaxParallelism());
            json.writeNumberField("bytes", operator.getStateSize());
            long positions = 0;
            List<KeyedState> keyed = new ArrayList<>();
            for (OperatorSubtaskState subtask : operator.getStates()) {
                for (OperatorStateHandle handle : subtask.getManagedOperatorState()) {
                    positions += handle.getStateSize();
                }
                for (KeyedStateHandle handle : subtask.getManagedKeyedState()) {
                    if (!(handle instanceof KeyGroupsSavepointStateHandle)) {
                        throw new IOException(
                                "keyed state is in a state backend's own format: this is a "
                                        + "checkpoint or a native savepoint");
                    }
                    read((KeyGroupsSavepointStateHandle) handle, keyed);
                }
            }
            json.writeNumberField("operator_state_bytes", positions);
            json.writeArrayFieldStart("states");
            for (KeyedState state : keyed) {
                state.write(json);
            }
            json.writeEndArray();
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    /** Adds one subtask's entries to {@code states}. */
    private void read(KeyGroupsSavepointStateHandle handle, List<KeyedState> states)
            throws IOException {
        ClassLoader classes = SavepointReport.class.getClassLoader();
        try (FSDataInputStream in = handle.openInputStream()) {
            KeyedBackendSerializationProxy<Object> header =
                    new KeyedBackendSerializationProxy<>(classes);
            header.read(new DataInputViewStreamWrapper(in));
            TypeSerializer<Object> keys = header.getKeySerializerSnapshot().restoreSerializer();
            List<KeyedState> byId = new ArrayList<>();
            for (StateMetaInfoSnapshot info : header.getStateMetaInfoSnapshots()) {
                byId.add(find(states, info, keys));
            }
            for (Tuple2<Integer, Long> group : handle.getGroupRangeOffsets()) {
                if (group.f1 == 0) {
                    continue; // no key of this group
                }
                in.seek(group.f1);
                if (header.isUsingKeyGroupCompression()) {
                    try (InputStream plain =
                            SnappyStreamCompressionDecorator.INSTANCE
                                    .decorateWithCompression(new Unclosed(in))) {
                        readGroup(plain, byId);
                    }
                } else {
                    readGroup(in, byId);
                }
            }
        }
    }

    private static void readGroup(InputStream in, List<KeyedState> byId) throws IOException {
        DataInputViewStreamWrapper view = new DataInputViewStreamWrapper(in);
        int id = 0xffff & view.readShort();
        while (id != FullSnapshotUtil.END_OF_KEY_GROUP_MARK) {
            byte[] key = BytePrimitiveArraySerializer.INSTANCE.deserialize(view);
            byte[] value = BytePrimitiveArraySerializer.INSTANCE.deserialize(view);
            boolean last = FullSnapshotUtil.hasMetaDataFollowsFlag(key);
            if (last) {
                FullSnapshotUtil.clearMetaDataFollowsFlag(key);
            }
            byId.get(id).add(key, value);
            if (last) {
                id = 0xffff & view.readShort();
            }
        }
    }

    private KeyedState find(
            List<KeyedState> states, StateMetaInfoSnapshot info, TypeSerializer<Object> keys) {
        for (KeyedState state : states) {
            if (state.name.equals(info.getName())) {
                return state;
            }
        }
        KeyedState state = new KeyedState(info, keys, samples);
        states.add(state);
        return state;
    }

    /** Leaves closing to the owner: closing the decompression must not close the file. */
    private static final class Unclosed extends java.io.FilterInputStream {
        Unclosed(InputStream in) {
            super(in);
        }

        @Override
        public void close() {}
    }
}
