package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple6;
import org.apache.flink.api.java.tuple.Tuple7;
import org.apache.flink.api.java.typeutils.TupleTypeInfo;
import org.apache.flink.streaming.api.TimerService;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Sales by store and product, and taxes by store, day, code and rate, in windows of event time, wholly in
 * the JVM.
 *
 * <p>Every record is an addition: what was sold in a window, once when the window closes, and again
 * for each line that comes after. So the sum over the records of a window is right at any time,
 * however late lines are, and no closed window has to be kept.
 *
 * <p>A window is of {@code <store>/<product>|<currency>|<unit>}; one that a savepoint of 0.1.0 holds is
 * of {@code <store>/<product>} alone.
 */
public final class SalesTracking {
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    // key of its windows, units, what was paid, price of one unit, event time, when it arrived, what it is: of
    // what comes back units and money are negative, and of a correction the other way
    private static final TupleTypeInfo<Tuple7<String, Long, Long, Long, Long, Long, Integer>> LINE =
            new TupleTypeInfo<>(
                    Types.STRING, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.INT);
    // key of its windows, the tax, what it is on, 1 where nobody knows that, event time, when it arrived
    private static final TupleTypeInfo<Tuple6<String, Long, Long, Long, Long, Long>> TAX =
            new TupleTypeInfo<>(
                    Types.STRING, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG);
    private static final OutputTag<Tuple6<String, Long, Long, Long, Long, Long>> TAXES =
            new OutputTag<>("taxes", TAX);

    private static final int BEFORE_ID = "{\"transaction_id\":\"".length();
    private static final byte[] VOID = "\",\"kind\":\"void\"".getBytes(StandardCharsets.US_ASCII);
    private static final int SOLD = 0;
    private static final int BACK = 1;
    /** Takes away a line of what comes back: it was none. */
    private static final int NEVER_BACK = 2;

    private SalesTracking() {}

    /**
     * Lines of each transaction, the transaction once; to the side its taxes. Without event times.
     *
     * @param rows (transaction id, enveloped transaction of the front door); what is none is left out:
     *     other jobs put it with the dead letters
     * @param rememberMs how long a transaction's id is remembered, from its arrival; 0: for ever
     */
    public static SingleOutputStreamOperator<Tuple7<String, Long, Long, Long, Long, Long, Integer>> once(
            DataStream<Row> rows, long rememberMs) {
        KeySelector<Row, String> receipt = SalesTracking::receiptOf;
        return rows.keyBy(receipt, Types.STRING)
                .process(new OnceById(rememberMs))
                .returns(LINE)
                .uid("sales-once")
                .name("lines of each transaction once");
    }

    /**
     * By what a row is known: the transaction's id. A void of contract v1 does not say whether it undoes a
     * sale or a refund, so it goes to the receipt that it names.
     */
    private static String receiptOf(Row row) {
        String id = (String) row.getField(0);
        byte[] envelope = (byte[]) row.getField(1);
        if (!beginsAsVoid(envelope, id)) {
            return id;
        }
        CanonicalReceipt receipt = CanonicalReceipt.read(envelope);
        return receipt != null && isVoidOfV1(receipt) ? receipt.voids : id;
    }

    /** The front door writes the id first, then the kind. Every record comes here twice: no parser. */
    private static boolean beginsAsVoid(byte[] envelope, String id) {
        int at = Envelope.headEnd(envelope) + 1 + BEFORE_ID + id.length();
        return at + VOID.length <= envelope.length
                && Arrays.equals(envelope, at, at + VOID.length, VOID, 0, VOID.length);
    }

    private static boolean isVoidOfV1(CanonicalReceipt receipt) {
        return receipt.isVoid
                && receipt.source.equals(StockLines.CONTRACT_V1)
                && !receipt.voids.isEmpty();
    }

    /**
     * Lines with their times.
     *
     * @param outOfOrderMs how much later than a newer one a line may come and still be in time
     * @param idleMs after so long without a record a subtask holds nobody up
     */
    public static DataStream<Tuple7<String, Long, Long, Long, Long, Long, Integer>> lines(
            SingleOutputStreamOperator<Tuple7<String, Long, Long, Long, Long, Long, Integer>> once,
            long outOfOrderMs,
            long idleMs) {
        return timed(once, line -> line.f4, line -> line.f5, outOfOrderMs, idleMs)
                .uid("sales-times")
                .name("event times");
    }

    /** Taxes with their times, as {@link #lines}. */
    public static DataStream<Tuple6<String, Long, Long, Long, Long, Long>> taxes(
            SingleOutputStreamOperator<Tuple7<String, Long, Long, Long, Long, Long, Integer>> once,
            long outOfOrderMs,
            long idleMs) {
        return timed(once.getSideOutput(TAXES), tax -> tax.f4, tax -> tax.f5, outOfOrderMs, idleMs)
                .uid("tax-times")
                .name("event times of taxes");
    }

    private static <T> SingleOutputStreamOperator<T> timed(
            DataStream<T> stream, Ms<T> event, Ms<T> arrival, long outOfOrderMs, long idleMs) {
        return stream.assignTimestampsAndWatermarks(
                WatermarkStrategy.<T>forGenerator(
                                context -> new UpToArrival<>(arrival, Duration.ofMillis(outOfOrderMs)))
                        .withTimestampAssigner((one, before) -> event.of(one))
                        .withIdleness(Duration.ofMillis(idleMs)));
    }

    /** A time of a record. */
    private interface Ms<T> extends java.io.Serializable {
        long of(T one);
    }

    /**
     * Additions of taxes to the windows of {@code sizeMs}, as JSON: the key's fields, {@code
     * window_start_ms}, {@code window_ms}, {@code receipts}, {@code tax_cents}, {@code net_cents}, {@code
     * receipts_without_net}, {@code late}.
     */
    public static DataStream<byte[]> taxAdditions(
            DataStream<Tuple6<String, Long, Long, Long, Long, Long>> taxes, long sizeMs, String uid) {
        OutputTag<Tuple6<String, Long, Long, Long, Long, Long>> late = new OutputTag<>("late", TAX);
        KeySelector<Tuple6<String, Long, Long, Long, Long, Long>, String> key = tax -> tax.f0;
        SingleOutputStreamOperator<byte[]> inTime =
                taxes.keyBy(key, Types.STRING)
                        .window(TumblingEventTimeWindows.of(Duration.ofMillis(sizeMs)))
                        .sideOutputLateData(late)
                        .aggregate(new AddUpTax(), new TaxAsJson(sizeMs), SUMS, SUMS, BYTES)
                        .uid(uid)
                        .name(uid);
        DataStream<byte[]> after =
                inTime.getSideOutput(late)
                        .map(tax -> taxJson(addTax(new long[4], tax), tax.f0,
                                tax.f4 - Math.floorMod(tax.f4, sizeMs), sizeMs, true))
                        .returns(BYTES)
                        .uid(uid + "-late")
                        .name(uid + " after its window");
        return inTime.union(after);
    }

    private static long[] addTax(long[] sums, Tuple6<String, Long, Long, Long, Long, Long> tax) {
        sums[0]++;
        sums[1] += tax.f1;
        sums[2] += tax.f2;
        sums[3] += tax.f3;
        return sums;
    }

    /** {@code key} is the beginning of the JSON, see {@link #taxKey}. */
    private static byte[] taxJson(long[] sums, String key, long start, long size, boolean late) {
        String json =
                key + ",\"window_start_ms\":" + start + ",\"window_ms\":" + size + ",\"receipts\":" + sums[0]
                        + ",\"tax_cents\":" + sums[1] + ",\"net_cents\":" + sums[2]
                        + ",\"receipts_without_net\":" + sums[3] + ",\"late\":" + late + '}';
        return json.getBytes(StandardCharsets.UTF_8);
    }

    private static String taxKey(CanonicalReceipt receipt, CanonicalReceipt.Tax tax) {
        StringBuilder key = new StringBuilder(200).append("{\"store_day\":");
        text(key, receipt.store + "/" + receipt.businessDay)
                .append(",\"store\":").append((int) receipt.store)
                .append(",\"business_day\":");
        text(key, receipt.businessDay).append(",\"currency\":");
        text(key, receipt.currency).append(",\"code\":");
        text(key, tax.code).append(",\"rate\":");
        text(key, tax.rate).append(",\"added\":").append(tax.added);
        return key.toString();
    }

    /**
     * Additions to the windows of {@code sizeMs}, as JSON.
     *
     * @param prices product to its price in the price list, in minor units
     */
    public static DataStream<byte[]> additions(
            DataStream<Tuple7<String, Long, Long, Long, Long, Long, Integer>> lines,
            long sizeMs,
            Map<String, ? extends Number> prices,
            String uid) {
        OutputTag<Tuple7<String, Long, Long, Long, Long, Long, Integer>> late = new OutputTag<>("late", LINE);
        HashMap<String, Number> list = new HashMap<>(prices);
        KeySelector<Tuple7<String, Long, Long, Long, Long, Long, Integer>, String> key = line -> line.f0;
        SingleOutputStreamOperator<byte[]> inTime =
                lines.keyBy(key, Types.STRING)
                        .window(TumblingEventTimeWindows.of(Duration.ofMillis(sizeMs)))
                        .sideOutputLateData(late)
                        .aggregate(new AddUp(), new AsJson(list, sizeMs), SUMS, SUMS, BYTES)
                        .uid(uid)
                        .name(uid);
        DataStream<byte[]> after =
                inTime.getSideOutput(late)
                        .map(line -> json(sums(line), line.f0, line.f4 - Math.floorMod(line.f4, sizeMs),
                                sizeMs, list, true))
                        .returns(BYTES)
                        .uid(uid + "-late")
                        .name(uid + " after its window");
        return inTime.union(after);
    }

    private static final TypeInformation<long[]> SUMS =
            PrimitiveArrayTypeInfo.LONG_PRIMITIVE_ARRAY_TYPE_INFO;

    /** lines, units sold, units back, paid for these, paid for those, lowest price, highest price. */
    private static long[] none() {
        return new long[] {0, 0, 0, 0, 0, Long.MAX_VALUE, Long.MIN_VALUE};
    }

    private static long[] sums(Tuple7<String, Long, Long, Long, Long, Long, Integer> line) {
        return add(none(), line);
    }

    private static long[] add(long[] sums, Tuple7<String, Long, Long, Long, Long, Long, Integer> line) {
        boolean sold = line.f6 == SOLD;
        long way = sold ? 1 : -1;
        boolean correction = line.f1 != 0 ? way * line.f1 < 0 : way * line.f2 < 0;
        sums[0] += line.f6 == NEVER_BACK ? -1 : correction ? 0 : 1;
        sums[sold ? 1 : 2] += way * line.f1;
        sums[sold ? 3 : 4] += way * line.f2;
        sums[5] = Math.min(sums[5], line.f3);
        sums[6] = Math.max(sums[6], line.f3);
        return sums;
    }

    private static byte[] json(
            long[] sums, String key, long start, long size, Map<String, Number> list, boolean late) {
        // A product may hold both marks, a number, a currency or a unit neither.
        int unit = key.lastIndexOf('|');
        int currency = key.lastIndexOf('|', unit - 1);
        String shelf = currency < 0 ? key : key.substring(0, currency);
        int slash = shelf.indexOf('/');
        String product = shelf.substring(slash + 1);
        Number listed = list.get(product);
        boolean off =
                listed != null && (sums[5] != listed.longValue() || sums[6] != listed.longValue());
        StringBuilder json = new StringBuilder(400).append("{\"shelf\":");
        text(json, shelf).append(",\"store\":").append(shelf, 0, slash).append(",\"product\":");
        text(json, product)
                .append(",\"window_start_ms\":").append(start)
                .append(",\"window_ms\":").append(size)
                .append(",\"lines\":").append(sums[0])
                .append(",\"sold\":").append(sums[1])
                .append(",\"returned\":").append(sums[2])
                .append(",\"sold_cents\":").append(sums[3])
                .append(",\"returned_cents\":").append(sums[4])
                .append(",\"lowest_price_cents\":").append(sums[5])
                .append(",\"highest_price_cents\":").append(sums[6])
                .append(",\"list_price_cents\":").append(listed)
                .append(",\"off_list\":").append(off)
                .append(",\"late\":").append(late)
                .append(",\"currency\":");
        text(json, currency < 0 ? null : key.substring(currency + 1, unit)).append(",\"unit\":");
        text(json, currency < 0 ? "each" : key.substring(unit + 1)).append('}');
        return json.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static StringBuilder text(StringBuilder json, String textOrNull) {
        if (textOrNull == null) {
            return json.append("null");
        }
        json.append('"');
        CanonicalReceipt.quote(json, textOrNull);
        return json.append('"');
    }

    /** Of one unit: what the till lists, else what the line comes to. */
    private static long price(CanonicalReceipt.Line line) {
        if (line.listPrice != null) {
            return line.listPrice;
        }
        long amount = Math.abs(line.amount);
        long thousandths = Math.abs(line.thousandths);
        return thousandths == 0 ? amount : (amount * 1000 + thousandths / 2) / thousandths;
    }

    /** A till whose clock is ahead must not close the windows of the others. */
    private static final class UpToArrival<T> extends BoundedOutOfOrdernessWatermarks<T> {
        private final Ms<T> arrival;

        UpToArrival(Ms<T> arrival, Duration outOfOrder) {
            super(outOfOrder);
            this.arrival = arrival;
        }

        @Override
        public void onEvent(T one, long eventMs, WatermarkOutput out) {
            super.onEvent(one, Math.min(eventMs, arrival.of(one)), out);
        }
    }

    /**
     * Lines and taxes of the first transaction of each key, for as long as it is remembered; and of voids of
     * contract v1 that name it.
     */
    private static final class OnceById
            extends KeyedProcessFunction<
                    String, Row, Tuple7<String, Long, Long, Long, Long, Long, Integer>> {
        private static final long serialVersionUID = 1L;
        /** A receipt is undone once; of more voids the first is forgotten. */
        private static final int MOST_VOIDS = 64;
        private static final byte[] COUNTED = {};
        private static final String RECEIPT = "";
        private final long rememberMs;
        /** false: goods only came back on it. */
        private transient ValueState<Boolean> seen;
        /** By id when it is forgotten, and the envelope of one that came before its receipt; also the receipt
         *  itself, under RECEIPT. */
        private transient ValueState<Map<String, Tuple2<Long, byte[]>>> voids;

        OnceById(long rememberMs) {
            this.rememberMs = rememberMs;
        }

        @Override
        public void open(OpenContext context) {
            ValueStateDescriptor<Boolean> descriptor =
                    new ValueStateDescriptor<>("sales-seen", Types.BOOLEAN);
            StateLife.of(descriptor, rememberMs, true);
            seen = getRuntimeContext().getState(descriptor);
            ValueStateDescriptor<Map<String, Tuple2<Long, byte[]>>> ofVoids =
                    new ValueStateDescriptor<>(
                            "sales-voids", Types.MAP(Types.STRING, Types.TUPLE(Types.LONG, BYTES)));
            StateLife.of(ofVoids, rememberMs, true);
            voids = getRuntimeContext().getState(ofVoids);
        }

        @Override
        public void processElement(
                Row row,
                Context context,
                Collector<Tuple7<String, Long, Long, Long, Long, Long, Integer>> out)
                throws Exception {
            String key = context.getCurrentKey();
            String id = (String) row.getField(0);
            boolean ofAnother = !key.equals(id);
            // What has no id of its own is no transaction, and many share a key.
            if (id.startsWith("~") || !ofAnother && seen.value() != null) {
                return;
            }
            byte[] envelope = (byte[]) row.getField(1);
            CanonicalReceipt receipt = CanonicalReceipt.read(envelope);
            if (receipt == null) {
                return; // not remembered: repaired, it comes again under this id
            }
            if (ofAnother) {
                undo(id, receipt, envelope, context, out);
                return;
            }
            boolean back = isOnlyBack(receipt);
            seen.update(!back);
            long endMs = forgetLater(envelope, context);
            collect(receipt, false, context, out);
            Map<String, Tuple2<Long, byte[]>> early = voids.value();
            if (early == null) {
                return;
            }
            for (Tuple2<Long, byte[]> one : early.values()) {
                if (back && one.f1.length > 0) {
                    neverBack(CanonicalReceipt.read(one.f1), out);
                }
                one.f1 = COUNTED;
            }
            early.put(RECEIPT, Tuple2.of(endMs, COUNTED));
            voids.update(early);
        }

        /** Before its receipt it counts as the void of a sale, which is what most are. */
        private void undo(
                String id,
                CanonicalReceipt undone,
                byte[] envelope,
                Context context,
                Collector<Tuple7<String, Long, Long, Long, Long, Long, Integer>> out)
                throws Exception {
            Map<String, Tuple2<Long, byte[]>> known = voids.value();
            if (known == null) {
                known = new HashMap<>();
            } else if (known.containsKey(id)) {
                return;
            }
            Boolean receipt = seen.value();
            long endMs = forgetLater(envelope, context);
            if (receipt != null) {
                known.putIfAbsent(RECEIPT, Tuple2.of(endMs, COUNTED));
            }
            known.put(id, Tuple2.of(endMs, receipt == null ? envelope : COUNTED));
            if (known.size() > MOST_VOIDS) {
                known.remove(firstToGo(known));
            }
            voids.update(known);
            collect(undone, Boolean.FALSE.equals(receipt), context, out);
        }

        private static String firstToGo(Map<String, Tuple2<Long, byte[]>> known) {
            String first = null;
            for (Map.Entry<String, Tuple2<Long, byte[]>> one : known.entrySet()) {
                boolean sooner = first == null || one.getValue().f0 < known.get(first).f0;
                if (sooner && !one.getKey().equals(RECEIPT)) {
                    first = one.getKey();
                }
            }
            return first;
        }

        private static boolean isOnlyBack(CanonicalReceipt receipt) {
            boolean back = false;
            for (CanonicalReceipt.Line line : receipt.lines) {
                if (line.isTrade() && line.kind.equals("sale")) {
                    return false;
                }
                back |= line.isTrade();
            }
            return back && !receipt.isVoid;
        }

        /** Sets a timer; when it fires. */
        private long forgetLater(byte[] envelope, Context context) {
            if (rememberMs == 0) {
                return Long.MAX_VALUE;
            }
            TimerService timers = context.timerService();
            long watermark = timers.currentWatermark();
            long arrivedMs = ArrivalTimes.of(envelope); // in this stream, whose time it is
            long endMs = StateLife.endMs(arrivedMs, watermark, rememberMs);
            timers.registerEventTimeTimer(endMs);
            return endMs;
        }

        /** soldAgain: it undoes a return, though its lines say `sale`. */
        private static void collect(
                CanonicalReceipt receipt,
                boolean soldAgain,
                Context context,
                Collector<Tuple7<String, Long, Long, Long, Long, Long, Integer>> out) {
            for (CanonicalReceipt.Line line : receipt.lines) {
                if (line.isOnShelf() && !line.takenOut) {
                    int side = soldAgain || receipt.isSold(line) ? SOLD : BACK;
                    out.collect(lineOf(receipt, line, soldAgain ? -1 : 1, side));
                }
            }
            for (CanonicalReceipt.Tax tax : receipt.taxes) {
                context.output(
                        TAXES,
                        Tuple6.of(
                                taxKey(receipt, tax),
                                tax.amount,
                                tax.net == null ? 0L : tax.net,
                                tax.net == null ? 1L : 0L,
                                receipt.endedMs,
                                receipt.arrivedMs));
            }
        }

        /** What was counted as the void of a sale was one of a return: its goods are sold again. */
        private static void neverBack(
                CanonicalReceipt undone,
                Collector<Tuple7<String, Long, Long, Long, Long, Long, Integer>> out) {
            for (CanonicalReceipt.Line line : undone.lines) {
                if (line.isOnShelf() && !line.takenOut) {
                    out.collect(lineOf(undone, line, -1, NEVER_BACK));
                    out.collect(lineOf(undone, line, -1, SOLD));
                }
            }
        }

        private static Tuple7<String, Long, Long, Long, Long, Long, Integer> lineOf(
                CanonicalReceipt receipt, CanonicalReceipt.Line line, long sign, int side) {
            return Tuple7.of(
                    receipt.store + "/" + line.product + '|' + receipt.currency + '|' + line.unit,
                    sign * line.units(),
                    sign * line.paid,
                    price(line),
                    receipt.endedMs,
                    receipt.arrivedMs,
                    side);
        }

        @Override
        public void onTimer(
                long at,
                OnTimerContext context,
                Collector<Tuple7<String, Long, Long, Long, Long, Long, Integer>> out)
                throws Exception {
            // A drained job ends the stream's time, but may be restored all the same.
            if (rememberMs == 0 || context.timerService().currentWatermark() == Long.MAX_VALUE) {
                return;
            }
            Map<String, Tuple2<Long, byte[]>> known = voids.value();
            if (known == null) {
                seen.clear();
                return;
            }
            known.values().removeIf(one -> one.f0 <= at);
            if (!known.containsKey(RECEIPT)) {
                seen.clear();
            }
            voids.update(known.isEmpty() ? null : known);
        }
    }

    private static final class AddUp
            implements AggregateFunction<
                    Tuple7<String, Long, Long, Long, Long, Long, Integer>, long[], long[]> {
        private static final long serialVersionUID = 1L;

        @Override
        public long[] createAccumulator() {
            return none();
        }

        @Override
        public long[] add(Tuple7<String, Long, Long, Long, Long, Long, Integer> line, long[] sums) {
            return SalesTracking.add(sums, line);
        }

        @Override
        public long[] getResult(long[] sums) {
            return sums;
        }

        @Override
        public long[] merge(long[] a, long[] b) {
            for (int i = 0; i < 5; i++) {
                a[i] += b[i];
            }
            a[5] = Math.min(a[5], b[5]);
            a[6] = Math.max(a[6], b[6]);
            return a;
        }
    }

    private static final class AsJson
            extends ProcessWindowFunction<long[], byte[], String, TimeWindow> {
        private static final long serialVersionUID = 1L;
        private final HashMap<String, Number> list;
        private final long sizeMs;

        AsJson(HashMap<String, Number> list, long sizeMs) {
            this.list = list;
            this.sizeMs = sizeMs;
        }

        @Override
        public void process(
                String key, Context context, Iterable<long[]> sums, Collector<byte[]> out) {
            long start = context.window().getStart();
            out.collect(json(sums.iterator().next(), key, start, sizeMs, list, false));
        }
    }

    /** receipts, tax, what it is on, receipts of which nobody knows that. */
    private static final class AddUpTax
            implements AggregateFunction<
                    Tuple6<String, Long, Long, Long, Long, Long>, long[], long[]> {
        private static final long serialVersionUID = 1L;

        @Override
        public long[] createAccumulator() {
            return new long[4];
        }

        @Override
        public long[] add(Tuple6<String, Long, Long, Long, Long, Long> tax, long[] sums) {
            return addTax(sums, tax);
        }

        @Override
        public long[] getResult(long[] sums) {
            return sums;
        }

        @Override
        public long[] merge(long[] a, long[] b) {
            for (int i = 0; i < a.length; i++) {
                a[i] += b[i];
            }
            return a;
        }
    }

    private static final class TaxAsJson
            extends ProcessWindowFunction<long[], byte[], String, TimeWindow> {
        private static final long serialVersionUID = 1L;
        private final long sizeMs;

        TaxAsJson(long sizeMs) {
            this.sizeMs = sizeMs;
        }

        @Override
        public void process(
                String key, Context context, Iterable<long[]> sums, Collector<byte[]> out) {
            long start = context.window().getStart();
            out.collect(taxJson(sums.iterator().next(), key, start, sizeMs, false));
        }
    }
}
