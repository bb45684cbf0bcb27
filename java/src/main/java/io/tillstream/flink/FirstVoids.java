package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Of all voids of a receipt the first one counts, and a void cannot be voided.
 *
 * <p>A void touches two ids, its own and the receipt's, and what it says of the one decides what another
 * void may say of the other. So all voids are of one key: they are few, and no order of arrival lets two of
 * them take back the same goods.
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
        KeySelector<byte[], String> together = value -> "";
        return voids.keyBy(together, Types.STRING)
                .process(new Judge(rememberMs))
                .returns(Envelope.type())
                .uid("intake-voids")
                .name("first void of each receipt");
    }

    private static final class Judge extends KeyedProcessFunction<String, byte[], Row> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        /** By id: the void that has voided it, or IS_VOID. */
        private transient MapState<String, String> known;

        Judge(long rememberMs) {
            this.rememberMs = rememberMs;
        }

        @Override
        public void open(OpenContext context) {
            MapStateDescriptor<String, String> descriptor =
                    new MapStateDescriptor<>("intake-voids", Types.STRING, Types.STRING);
            StateLife.of(descriptor, rememberMs, false);
            known = getRuntimeContext().getMapState(descriptor);
        }

        @Override
        public void processElement(byte[] value, Context context, Collector<Row> out)
                throws Exception {
            int end = 0;
            while (value[end] != '\n') {
                end++;
            }
            String head = new String(value, 0, end, StandardCharsets.UTF_8);
            int blank = head.indexOf(' ');
            String id = head.substring(0, blank);
            byte[] verdict =
                    verdict(id, head.substring(blank + 1)).getBytes(StandardCharsets.UTF_8);
            byte[] made = Arrays.copyOf(verdict, verdict.length + value.length - end);
            System.arraycopy(value, end, made, verdict.length, value.length - end);
            out.collect(Row.of(id, made));
        }

        private String verdict(String id, String receipt) throws Exception {
            String early = known.get(id);
            if (early == null) {
                known.put(id, IS_VOID);
            }
            String first = receipt.isEmpty() ? id : known.get(receipt);
            if (early != null && !early.equals(IS_VOID)) {
                // It counted before anyone knew that this is no sale: it stands for this one.
                if (first == null) {
                    known.put(receipt, early);
                }
                return "overtaken " + early;
            }
            if (first == null) {
                known.put(receipt, id);
                return "";
            }
            if (first.equals(IS_VOID)) {
                return "not_a_sale " + receipt;
            }
            return first.equals(id) ? "" : "voided_already " + first;
        }
    }
}
