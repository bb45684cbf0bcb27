package io.tillstream.flink;

import java.io.IOException;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.core.memory.DataInputDeserializer;
import org.apache.flink.runtime.state.metainfo.StateMetaInfoSnapshot;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;

/** Sizes of one keyed state's entries, all subtasks together. */
final class KeyedState {

    final String name;

    private final String kind;
    private final boolean expires;
    private final boolean manyEntriesPerKey;
    private final TypeSerializer<Object> keys;
    private final byte[][][] samples;

    private final TreeMap<Integer, Long> valueSizes = new TreeMap<>();
    private final TreeMap<Integer, Long> firstBytes = new TreeMap<>();
    private final Set<Long> distinct = new HashSet<>();
    private long entries;
    private long keyBytes;
    private long valueBytes;

    KeyedState(StateMetaInfoSnapshot info, TypeSerializer<Object> keys, int samples) {
        name = info.getName();
        String type = info.getOption(StateMetaInfoSnapshot.CommonOptionsKeys.KEYED_STATE_TYPE);
        kind = type == null ? info.getBackendStateType().name() : type;
        manyEntriesPerKey = !kind.equals("VALUE");
        Object values =
                info.getTypeSerializerSnapshot(
                        StateMetaInfoSnapshot.CommonSerializerKeys.VALUE_SERIALIZER);
        expires = values != null && values.getClass().getName().contains("Ttl");
        this.keys = keys;
        this.samples = new byte[samples][][];
    }

    void add(byte[] key, byte[] value) throws IOException {
        if (entries < samples.length) {
            samples[(int) entries] = new byte[][] {key, value};
        }
        entries++;
        keyBytes += key.length;
        valueBytes += value.length;
        valueSizes.merge(value.length, 1L, Long::sum);
        firstBytes.merge(firstByte(value), 1L, Long::sum);
        if (manyEntriesPerKey) {
            distinct.add(hash(key, keyLength(key)));
        }
    }

    /** How many bytes name the key: its group's number and the key itself; the rest is within it. */
    private int keyLength(byte[] key) throws IOException {
        // Two bytes of key group: max_parallelism is over 128 in every job of ours.
        DataInputDeserializer in = new DataInputDeserializer(key, 2, key.length - 2);
        keys.deserialize(in);
        return key.length - in.available();
    }

    /** FNV-1a in 64 bits: two keys of a hundred million share one once in some thousand reports. */
    private static long hash(byte[] key, int length) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < length; i++) {
            hash = (hash ^ (key[i] & 0xff)) * 0x100000001b3L;
        }
        return hash;
    }

    /**
     * The first byte of what the function stored, -1 where the value is not bytes of ours.
     *
     * <p>Around it are the time of its last use, if it expires, the length of the array, and PyFlink's
     * pickle of plain bytes.
     */
    private int firstByte(byte[] value) {
        int at = (expires ? 8 : 0) + 4;
        if (value.length > at + 2 && (value[at] & 0xff) == 0x80) {
            at += 2;
            if ((value[at] & 0xff) == 0x95) { // a frame and its length
                at += 9;
            }
            int opcode = at < value.length ? value[at] & 0xff : 0;
            at += opcode == 'C' ? 2 : opcode == 'B' ? 5 : opcode == 0x8e ? 9 : value.length;
        }
        return at < value.length ? value[at] & 0xff : -1;
    }

    void write(JsonGenerator json) throws IOException {
        json.writeStartObject();
        json.writeStringField("name", name);
        json.writeStringField("kind", kind);
        json.writeBooleanField("expires", expires);
        json.writeNumberField("keys", manyEntriesPerKey ? distinct.size() : entries);
        json.writeNumberField("entries", entries);
        json.writeNumberField("key_bytes", keyBytes);
        json.writeNumberField("value_bytes", valueBytes);
        json.writeNumberField("value_p50", percentile(0.50));
        json.writeNumberField("value_p99", percentile(0.99));
        json.writeNumberField("value_max", valueSizes.isEmpty() ? 0 : valueSizes.lastKey());
        json.writeObjectFieldStart("versions");
        for (Map.Entry<Integer, Long> found : firstBytes.entrySet()) {
            json.writeNumberField(String.valueOf(found.getKey()), found.getValue());
        }
        json.writeEndObject();
        json.writeArrayFieldStart("samples");
        for (byte[][] sample : samples) {
            if (sample != null) {
                json.writeStartArray();
                json.writeBinary(sample[0]);
                json.writeBinary(sample[1]);
                json.writeEndArray();
            }
        }
        json.writeEndArray();
        json.writeEndObject();
    }

    private int percentile(double share) {
        long rank = (long) Math.ceil(entries * share);
        for (Map.Entry<Integer, Long> size : valueSizes.entrySet()) {
            rank -= size.getValue();
            if (rank <= 0) {
                return size.getKey();
            }
        }
        return 0;
    }
}
