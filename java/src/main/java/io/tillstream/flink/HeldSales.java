package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Revenue that fraud holds, and that it has lost, by store, hour of the sale and currency.
 *
 * <p>What the fraud job says of a sale comes at least once, and not always in order. Of each sale the hold
 * and the newest verdict are kept; what they count for now, less what they counted for before, is an
 * addition. So a repeat adds nothing, and the sum over the additions of an hour is right at any time.
 */
public final class HeldSales {
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    static final long HOUR_MS = 3_600_000;

    private HeldSales() {}

    /**
     * @param rows (transaction id, enveloped record of the topic of holds); what is none is left out: the
     *     loyalty job puts it with the dead letters
     * @param rememberMs how long a sale is remembered after its last verdict; 0: for ever. One that is
     *     held, ten years
     * @param aheadMs what was said so much after it arrived is left out: no verdict could overrule it
     */
    public static DataStream<byte[]> additions(
            DataStream<Row> rows, long rememberMs, long aheadMs) {
        KeySelector<Row, String> id = row -> (String) row.getField(0);
        return rows.keyBy(id, Types.STRING)
                .process(new Follow(rememberMs, aheadMs))
                .returns(BYTES)
                .uid("held-sales")
                .name("revenue that is held or lost");
    }

    /**
     * action, when it was said, store, hour, currency ("" until the hold is there), amount. Kept apart while
     * the sale is held: loyalty forgets no such sale either, and its verdict may come after half a year.
     */
    private static final class Follow extends KeyedProcessFunction<String, Row, byte[]> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        private final long aheadMs;
        private transient ValueState<Tuple6<String, Long, Integer, Long, String, Long>> known;
        private transient ValueState<Tuple6<String, Long, Integer, Long, String, Long>> open;

        Follow(long rememberMs, long aheadMs) {
            this.rememberMs = rememberMs;
            this.aheadMs = aheadMs;
        }

        @Override
        public void open(OpenContext context) {
            TypeInformation<Tuple6<String, Long, Integer, Long, String, Long>> type =
                    Types.TUPLE(
                            Types.STRING, Types.LONG, Types.INT, Types.LONG, Types.STRING,
                            Types.LONG);
            ValueStateDescriptor<Tuple6<String, Long, Integer, Long, String, Long>> descriptor =
                    new ValueStateDescriptor<>("held-sale", type);
            StateLife.of(descriptor, rememberMs, false);
            known = getRuntimeContext().getState(descriptor);
            ValueStateDescriptor<Tuple6<String, Long, Integer, Long, String, Long>> until =
                    new ValueStateDescriptor<>("held-sale-open", type);
            StateLife.of(until, rememberMs == 0 ? 0 : Math.max(rememberMs, StateLife.HELD_MS), false);
            open = getRuntimeContext().getState(until);
        }

        @Override
        public void processElement(Row row, Context context, Collector<byte[]> out)
                throws Exception {
            byte[] envelope = (byte[]) row.getField(1);
            HoldOrder order = HoldOrder.read(envelope);
            boolean keyless = context.getCurrentKey().startsWith(Envelope.KEYLESS);
            if (keyless || order == null || order.orderedMs > ArrivalTimes.of(envelope) + aheadMs) {
                return;
            }
            Tuple6<String, Long, Integer, Long, String, Long> held = open.value();
            Tuple6<String, Long, Integer, Long, String, Long> before =
                    held == null ? known.value() : held;
            Tuple6<String, Long, Integer, Long, String, Long> now = after(before, order);
            if (now == null) {
                return;
            }
            if (now.f0.equals("hold")) {
                open.update(now);
                known.clear();
            } else {
                known.update(now);
                open.clear();
            }
            long more = count(now, "hold") - count(before, "hold");
            long lost = count(now, "decline") - count(before, "decline");
            if (more != 0 || lost != 0) {
                out.collect(json(now, more, lost));
            }
        }

        /** What is known after an order; null where it changes nothing. */
        private static Tuple6<String, Long, Integer, Long, String, Long> after(
                Tuple6<String, Long, Integer, Long, String, Long> before, HoldOrder order) {
            if (order.isHold()) {
                boolean again = before != null && !before.f4.isEmpty();
                if (again || order.cents == null || order.currency == null) {
                    return null; // or of a release that did not say how much
                }
                long hour = order.soldMs - Math.floorMod(order.soldMs, HOUR_MS);
                return before == null
                        ? Tuple6.of("hold", 0L, order.store, hour, order.currency, order.cents)
                        : Tuple6.of(before.f0, before.f1, order.store, hour, order.currency, order.cents);
            }
            if (before == null) {
                return Tuple6.of(order.action, order.orderedMs, 0, 0L, "", 0L);
            }
            if (!before.f0.equals("hold")) { // of two verdicts of one moment fraud counts
                boolean fraud = order.action.equals("decline") && !before.f0.equals("decline");
                if (order.orderedMs < before.f1 || (order.orderedMs.equals(before.f1) && !fraud)) {
                    return null;
                }
            }
            return Tuple6.of(
                    order.action, order.orderedMs, before.f2, before.f3, before.f4, before.f5);
        }

        private static int count(
                Tuple6<String, Long, Integer, Long, String, Long> sale, String action) {
            return sale != null && !sale.f4.isEmpty() && sale.f0.equals(action) ? 1 : 0;
        }

        private static byte[] json(
                Tuple6<String, Long, Integer, Long, String, Long> sale, long held, long lost) {
            StringBuilder json = new StringBuilder(240).append("{\"store_hour\":\"");
            json.append(sale.f2).append('/').append(sale.f3).append('/');
            CanonicalReceipt.quote(json, sale.f4);
            json.append("\",\"store\":").append(sale.f2)
                    .append(",\"window_start_ms\":").append(sale.f3)
                    .append(",\"window_ms\":").append(HOUR_MS)
                    .append(",\"currency\":\"");
            CanonicalReceipt.quote(json, sale.f4);
            json.append("\",\"held\":").append(held)
                    .append(",\"held_cents\":").append(held * sale.f5)
                    .append(",\"lost\":").append(lost)
                    .append(",\"lost_cents\":").append(lost * sale.f5)
                    .append('}');
            return json.toString().getBytes(StandardCharsets.UTF_8);
        }
    }
}
