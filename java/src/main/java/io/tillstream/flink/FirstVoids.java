package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Of all voids of a receipt the first one counts, and a void cannot be voided.
 *
 * <p>A void touches two ids, its own and the receipt's, and what it says of the one decides what another
 * void may say of the other. So one subtask sees all voids and has the states of all ids: they are few, and
 * no order of arrival lets two of them take back the same goods. Each id is a key of its own: with all of
 * them in one map, Flink's clean-up of what has expired would go through the whole map at each access.
 *
 * <p>{@code udfs/passing/voids.py} is the other end: it writes what comes in and reads what goes out.
 */
public final class FirstVoids {
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final String IS_VOID = "";

    private FirstVoids() {}

    /**
     * Rows of (the void's id, value): what came, its first line replaced by the verdict. It is empty where the
     * void counts, else the reason, a blank, and the id of the void or receipt that the reason is about.
     *
     * @param voids a line with the void's id, a blank and the receipt's id or nothing, and what belongs to it
     * @param rememberMs how long a void is remembered, by the machine's clock; 0: for ever
     */
    public static DataStream<Row> judged(DataStream<byte[]> voids, long rememberMs) {
        KeySelector<byte[], String> byId = value -> head(value).split(" ", 2)[0];
        return voids.keyBy(byId, Types.STRING)
                .transform("first void of each receipt", Envelope.type(), new Judge(rememberMs))
                .setParallelism(1)
                .uid("intake-voids");
    }

    private static String head(byte[] value) {
        int end = 0;
        while (value[end] != '\n') {
            end++;
        }
        return new String(value, 0, end, StandardCharsets.UTF_8);
    }

    private static final class Judge extends AbstractStreamOperator<Row>
            implements OneInputStreamOperator<byte[], Row> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        /** Of the current id: the void that has voided it, or IS_VOID. */
        private transient ValueState<String> known;

        private transient StreamRecord<Row> out;

        Judge(long rememberMs) {
            this.rememberMs = rememberMs;
        }

        @Override
        public void open() throws Exception {
            super.open();
            out = new StreamRecord<>(null);
            ValueStateDescriptor<String> descriptor =
                    new ValueStateDescriptor<>("intake-voids", Types.STRING);
            StateLife.of(descriptor, rememberMs, false);
            known =
                    getPartitionedState(
                            VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
        }

        @Override
        public void processElement(StreamRecord<byte[]> record) throws Exception {
            byte[] value = record.getValue();
            String head = head(value);
            String[] ids = head.split(" ", 2);
            byte[] verdict = verdict(ids[0], ids[1]).getBytes(StandardCharsets.UTF_8);
            int end = head.getBytes(StandardCharsets.UTF_8).length;
            byte[] made = Arrays.copyOf(verdict, verdict.length + value.length - end);
            System.arraycopy(value, end, made, verdict.length, value.length - end);
            output.collect(out.replace(Row.of(ids[0], made)));
        }

        private String known(String id) throws Exception {
            setCurrentKey(id);
            return known.value();
        }

        private void put(String id, String by) throws Exception {
            setCurrentKey(id);
            known.update(by);
        }

        private String verdict(String id, String receipt) throws Exception {
            String early = known(id);
            if (early == null) {
                put(id, IS_VOID);
            }
            String first = receipt.isEmpty() ? id : known(receipt);
            if (early != null && !early.equals(IS_VOID)) {
                // It counted before anyone knew that this is no sale: it stands for this one.
                if (first == null) {
                    put(receipt, early);
                }
                return "overtaken " + early;
            }
            if (first == null) {
                put(receipt, id);
                return "";
            }
            if (first.equals(IS_VOID)) {
                return "not_a_sale " + receipt;
            }
            return first.equals(id) ? "" : "voided_already " + first;
        }
    }
}
