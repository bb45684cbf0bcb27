package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.eventtime.BoundedOutOfOrdernessWatermarks;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple6;
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
 * Sales by store and product in windows of event time, wholly in the JVM.
 *
 * <p>Every record is an addition: what was sold in a window, once when the window closes, and again
 * for each line that comes after. So the sum over the records of a window is right at any time,
 * however late lines are, and no closed window has to be kept.
 */
public final class SalesTracking {
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    // shelf "<store>/<product>", pieces, cents, price of a piece, event time, when the broker took it
    private static final TupleTypeInfo<Tuple6<String, Long, Long, Long, Long, Long>> LINE =
            new TupleTypeInfo<>(
                    Types.STRING, Types.LONG, Types.LONG, Types.LONG, Types.LONG, Types.LONG);

    private SalesTracking() {}

    /**
     * Lines of each transaction, the transaction once.
     *
     * @param rows (transaction id, enveloped transaction); what is no transaction, or one from the
     *     future, is left out: other jobs put it with the dead letters
     * @param clockAheadMs how far a till's clock may run ahead of the broker's
     * @param rememberMs how long a transaction's id is remembered, from its arrival; 0: for ever
     * @param outOfOrderMs how much later than a newer one a line may come and still be in time
     * @param idleMs after so long without a record a subtask holds nobody up
     */
    public static DataStream<Tuple6<String, Long, Long, Long, Long, Long>> lines(
            DataStream<Row> rows, long clockAheadMs, long rememberMs, long outOfOrderMs, long idleMs) {
        KeySelector<Row, String> id = row -> (String) row.getField(0);
        return rows.keyBy(id, Types.STRING)
                .process(new OnceById(rememberMs, clockAheadMs))
                .returns(LINE)
                .uid("sales-once")
                .name("lines of each transaction once")
                .assignTimestampsAndWatermarks(
                        WatermarkStrategy
                                .<Tuple6<String, Long, Long, Long, Long, Long>>forGenerator(
                                        context -> new UpToArrival(Duration.ofMillis(outOfOrderMs)))
                                .withTimestampAssigner((line, before) -> line.f4)
                                .withIdleness(Duration.ofMillis(idleMs)))
                .uid("sales-times")
                .name("event times");
    }

    /**
     * Additions to the windows of {@code sizeMs}, as JSON.
     *
     * @param prices product to its price in the price list, in cents
     */
    public static DataStream<byte[]> additions(
            DataStream<Tuple6<String, Long, Long, Long, Long, Long>> lines,
            long sizeMs,
            Map<String, Integer> prices,
            String uid) {
        OutputTag<Tuple6<String, Long, Long, Long, Long, Long>> late = new OutputTag<>("late", LINE);
        HashMap<String, Integer> list = new HashMap<>(prices);
        KeySelector<Tuple6<String, Long, Long, Long, Long, Long>, String> shelf = line -> line.f0;
        SingleOutputStreamOperator<byte[]> inTime =
                lines.keyBy(shelf, Types.STRING)
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

    /** lines, pieces sold, pieces back, cents sold, cents back, lowest price, highest price. */
    private static long[] none() {
        return new long[] {0, 0, 0, 0, 0, Long.MAX_VALUE, Long.MIN_VALUE};
    }

    private static long[] sums(Tuple6<String, Long, Long, Long, Long, Long> line) {
        return add(none(), line);
    }

    private static long[] add(long[] sums, Tuple6<String, Long, Long, Long, Long, Long> line) {
        boolean sold = line.f1 > 0;
        sums[0]++;
        sums[sold ? 1 : 2] += Math.abs(line.f1);
        sums[sold ? 3 : 4] += Math.abs(line.f2);
        sums[5] = Math.min(sums[5], line.f3);
        sums[6] = Math.max(sums[6], line.f3);
        return sums;
    }

    private static byte[] json(
            long[] sums, String shelf, long start, long size, Map<String, Integer> list, boolean late) {
        int slash = shelf.indexOf('/');
        Integer listed = list.get(shelf.substring(slash + 1));
        boolean off = listed != null && (sums[5] != listed || sums[6] != listed);
        String text =
                "{\"shelf\":\"" + shelf + "\",\"store\":" + shelf.substring(0, slash)
                        + ",\"product\":\"" + shelf.substring(slash + 1)
                        + "\",\"window_start_ms\":" + start + ",\"window_ms\":" + size
                        + ",\"lines\":" + sums[0] + ",\"sold\":" + sums[1] + ",\"returned\":" + sums[2]
                        + ",\"sold_cents\":" + sums[3] + ",\"returned_cents\":" + sums[4]
                        + ",\"lowest_price_cents\":" + sums[5] + ",\"highest_price_cents\":" + sums[6]
                        + ",\"list_price_cents\":" + listed + ",\"off_list\":" + off
                        + ",\"late\":" + late + '}';
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** A till whose clock is ahead must not close the windows of the others. */
    private static final class UpToArrival
            extends BoundedOutOfOrdernessWatermarks<Tuple6<String, Long, Long, Long, Long, Long>> {
        UpToArrival(Duration outOfOrder) {
            super(outOfOrder);
        }

        @Override
        public void onEvent(
                Tuple6<String, Long, Long, Long, Long, Long> line, long eventMs, WatermarkOutput out) {
            super.onEvent(line, Math.min(eventMs, line.f5), out);
        }
    }

    /** The lines of the first transaction of each key, for as long as it is remembered. */
    private static final class OnceById
            extends KeyedProcessFunction<
                    String, Row, Tuple6<String, Long, Long, Long, Long, Long>> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        private final long clockAheadMs;
        private transient ValueState<Boolean> seen;

        OnceById(long rememberMs, long clockAheadMs) {
            this.rememberMs = rememberMs;
            this.clockAheadMs = clockAheadMs;
        }

        @Override
        public void open(org.apache.flink.configuration.Configuration parameters) {
            ValueStateDescriptor<Boolean> descriptor =
                    new ValueStateDescriptor<>("sales-seen", Types.BOOLEAN);
            StateLife.of(descriptor, rememberMs, true);
            seen = getRuntimeContext().getState(descriptor);
        }

        @Override
        public void processElement(
                Row row,
                Context context,
                Collector<Tuple6<String, Long, Long, Long, Long, Long>> out)
                throws Exception {
            // What has no id of its own is no transaction, and many share a key.
            if (context.getCurrentKey().startsWith("~") || seen.value() != null) {
                return;
            }
            SealedReceipt sealed = new SealedReceipt((byte[]) row.getField(1), clockAheadMs);
            TillReceipt receipt = sealed.receipt;
            if (receipt == null) {
                return; // not remembered: repaired, it comes again under this id
            }
            seen.update(true);
            if (rememberMs > 0) {
                TimerService timers = context.timerService();
                long watermark = timers.currentWatermark();
                timers.registerEventTimeTimer(
                        StateLife.endMs(sealed.arrivedMs, watermark, rememberMs));
            }
            long sign = receipt.kind.equals("sale") ? 1 : -1;
            for (TillReceipt.Line line : receipt.lines) {
                out.collect(
                        Tuple6.of(
                                receipt.store + "/" + line.product,
                                sign * line.quantity,
                                sign * line.quantity * line.unitPriceCents,
                                line.unitPriceCents,
                                receipt.eventTimeMs,
                                sealed.arrivedMs));
            }
        }

        @Override
        public void onTimer(
                long at,
                OnTimerContext context,
                Collector<Tuple6<String, Long, Long, Long, Long, Long>> out)
                throws Exception {
            // A drained job ends the stream's time, but may be restored all the same.
            if (rememberMs > 0 && context.timerService().currentWatermark() < Long.MAX_VALUE) {
                seen.clear();
            }
        }
    }

    private static final class AddUp
            implements AggregateFunction<
                    Tuple6<String, Long, Long, Long, Long, Long>, long[], long[]> {
        private static final long serialVersionUID = 1L;

        @Override
        public long[] createAccumulator() {
            return none();
        }

        @Override
        public long[] add(Tuple6<String, Long, Long, Long, Long, Long> line, long[] sums) {
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
        private final HashMap<String, Integer> list;
        private final long sizeMs;

        AsJson(HashMap<String, Integer> list, long sizeMs) {
            this.list = list;
            this.sizeMs = sizeMs;
        }

        @Override
        public void process(
                String shelf, Context context, Iterable<long[]> sums, Collector<byte[]> out) {
            long start = context.window().getStart();
            out.collect(json(sums.iterator().next(), shelf, start, sizeMs, list, false));
        }
    }
}
