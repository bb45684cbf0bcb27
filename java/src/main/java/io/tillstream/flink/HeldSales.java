package io.tillstream.flink;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
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
    private static final long FROM_2015_MS = 1_420_070_400_000L;
    private static final long TO_2100_MS = 4_133_980_800_000L;
    private static final long MOST = (1L << 53) - 1;

    private HeldSales() {}

    /**
     * @param rows (transaction id, enveloped record of the topic of holds); what is none is left out: the
     *     loyalty job puts it with the dead letters
     * @param rememberMs how long a sale is remembered after the last word about it; 0: for ever
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

    /** One record of the topic, {@code tillstream/domain/fraud/actions.py}. */
    private static final class Order {
        String action;
        Integer store;
        Long soldMs;
        Long orderedMs;
        Long cents;
        String currency;

        /** Null where {@code envelope} holds none. Never throws. */
        static Order read(byte[] envelope) {
            int start = Envelope.headEnd(envelope) + 1;
            try (JsonParser parser =
                    TopLevelField.JSON.createParser(envelope, start, envelope.length - start)) {
                Order order = new Order();
                order.fill(parser);
                return parser.nextToken() == null && order.isWhole() ? order : null;
            } catch (IOException | RuntimeException notOne) {
                return null;
            }
        }

        private void fill(JsonParser parser) throws IOException {
            CanonicalReceipt.expect(parser.nextToken() == JsonToken.START_OBJECT);
            String name;
            while ((name = parser.nextFieldName()) != null) {
                boolean isNull = parser.nextToken() == JsonToken.VALUE_NULL;
                switch (name) {
                    case "action":
                        action = CanonicalReceipt.text(parser);
                        break;
                    case "store":
                        store = (int) whole(parser, 0, Integer.MAX_VALUE);
                        break;
                    case "event_time_ms":
                        soldMs = whole(parser, FROM_2015_MS, TO_2100_MS - 1);
                        break;
                    case "ordered_at_ms":
                        orderedMs = whole(parser, FROM_2015_MS, TO_2100_MS - 1);
                        break;
                    case "total_cents":
                        cents = isNull ? null : (Long) whole(parser, -MOST, MOST);
                        break;
                    case "currency":
                        currency = isNull ? null : CanonicalReceipt.text(parser);
                        break;
                    default:
                        CanonicalReceipt.skip(parser);
                }
            }
        }

        private static long whole(JsonParser parser, long least, long most) throws IOException {
            CanonicalReceipt.expect(parser.currentToken() == JsonToken.VALUE_NUMBER_INT);
            long value = parser.getLongValue();
            CanonicalReceipt.expect(least <= value && value <= most);
            return value;
        }

        private boolean isWhole() {
            return action != null && store != null && soldMs != null && orderedMs != null
                    && (action.equals("hold") || action.equals("release") || action.equals("decline"));
        }
    }

    /** action, when it was said, store, hour, currency ("" until the hold is there), amount. */
    private static final class Follow extends KeyedProcessFunction<String, Row, byte[]> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        private final long aheadMs;
        private transient ValueState<Tuple6<String, Long, Integer, Long, String, Long>> known;

        Follow(long rememberMs, long aheadMs) {
            this.rememberMs = rememberMs;
            this.aheadMs = aheadMs;
        }

        @Override
        public void open(OpenContext context) {
            ValueStateDescriptor<Tuple6<String, Long, Integer, Long, String, Long>> descriptor =
                    new ValueStateDescriptor<>(
                            "held-sale",
                            Types.TUPLE(
                                    Types.STRING, Types.LONG, Types.INT, Types.LONG, Types.STRING,
                                    Types.LONG));
            StateLife.of(descriptor, rememberMs, false);
            known = getRuntimeContext().getState(descriptor);
        }

        @Override
        public void processElement(Row row, Context context, Collector<byte[]> out)
                throws Exception {
            byte[] envelope = (byte[]) row.getField(1);
            Order order = Order.read(envelope);
            boolean keyless = context.getCurrentKey().startsWith(Envelope.KEYLESS);
            if (keyless || order == null || order.orderedMs > ArrivalTimes.of(envelope) + aheadMs) {
                return;
            }
            Tuple6<String, Long, Integer, Long, String, Long> before = known.value();
            Tuple6<String, Long, Integer, Long, String, Long> now = after(before, order);
            if (now == null) {
                return;
            }
            known.update(now);
            long held = count(now, "hold") - count(before, "hold");
            long lost = count(now, "decline") - count(before, "decline");
            if (held != 0 || lost != 0) {
                out.collect(json(now, held, lost));
            }
        }

        /** What is known after an order; null where it changes nothing. */
        private static Tuple6<String, Long, Integer, Long, String, Long> after(
                Tuple6<String, Long, Integer, Long, String, Long> before, Order order) {
            if (order.action.equals("hold")) {
                boolean again = before != null && !before.f4.isEmpty();
                if (again || order.cents == null || order.currency == null
                        || order.currency.isEmpty()) {
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
