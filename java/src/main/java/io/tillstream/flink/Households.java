package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;
import org.apache.flink.util.OutputTag;

/**
 * Which account a customer's record belongs to: the household's that the customer was in when it happened,
 * else the customer's own. Wholly in the JVM, for each transaction passes here.
 *
 * <p>A record of nobody's household goes on as it came. One of a household is {@code member:}, a JSON array
 * of account and customer, a newline, and what came; its key is the account. An event that moves points is
 * {@code move:}, the adjustment that moves them, a newline and the event, at the account that gives. One
 * that does not count is {@code refused:}, the reason in quotes, a newline and the event; a
 * repeat is nothing, and one that matches no contract goes on as it came: the stage behind says why.
 *
 * <p>The keys are those of the stage behind, as it makes them. So a record of nobody's household stays in
 * its subtask.
 */
public final class Households {
    static final String MEMBER = "member:";
    static final String WORD = "word:";
    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final OutputTag<Row> TRANSACTIONS =
            new OutputTag<>("transactions", Envelope.type());
    private static final OutputTag<byte[]> MEMBERS = new OutputTag<>("members", BYTES);

    private Households() {}

    /**
     * Rows of (account, value) of all records, in the order of their customer.
     *
     * @param rows (customer, enveloped record): transactions, and records of {@code topics}
     * @param topics names of the topics of household events, adjustments, what fraud holds, transfers and
     *     requests
     * @param rememberMs how long it is remembered where an adjustment went, by the machine's clock
     * @param aheadMs how far an event's time may be ahead of its arrival
     */
    public static SingleOutputStreamOperator<Row> accounts(
            DataStream<Row> rows, String[] topics, long rememberMs, long aheadMs) {
        KeySelector<Row, Row> customer = row -> Row.of(row.getField(0));
        TypeInformation<Row> key = Types.ROW(Types.STRING);
        return rows.keyBy(customer, key)
                .process(new Accounts(topics, rememberMs, aheadMs))
                .returns(Envelope.type())
                .name("accounts of customers");
    }

    /** Of the same stage, the rows of transactions alone, and {@code word:}, a newline, what fraud says of one. */
    public static DataStream<Row> transactions(SingleOutputStreamOperator<Row> accounts) {
        return accounts.getSideOutput(TRANSACTIONS);
    }

    /** Of the same stage, {@code customer_id}, {@code version} and {@code household} of each who joined or left. */
    public static DataStream<byte[]> members(SingleOutputStreamOperator<Row> accounts) {
        return accounts.getSideOutput(MEMBERS);
    }

    /** What came, of a value that this stage made of a transaction or of a word. */
    static byte[] envelope(byte[] value) {
        return isMember(value) || isWord(value)
                ? Arrays.copyOfRange(value, Envelope.headEnd(value) + 1, value.length)
                : value;
    }

    static boolean isMember(byte[] value) {
        return startsWith(value, MEMBER);
    }

    static boolean isWord(byte[] value) {
        return startsWith(value, WORD);
    }

    /** What came to {@code customer}, for the account of a household or of another. */
    static Row of(String account, Row row, String customer) {
        if (account.isEmpty()) {
            return row;
        }
        StringBuilder head = new StringBuilder(80).append(MEMBER).append("[\"");
        CanonicalReceipt.quote(head, account);
        head.append("\",\"");
        CanonicalReceipt.quote(head, customer);
        head.append("\"]");
        return Row.of(account, stamped(head.toString(), (byte[]) row.getField(1)));
    }

    private static byte[] stamped(String head, byte[] value) {
        byte[] first = (head + '\n').getBytes(StandardCharsets.UTF_8);
        byte[] made = Arrays.copyOf(first, first.length + value.length);
        System.arraycopy(value, 0, made, first.length, value.length);
        return made;
    }

    private static boolean startsWith(byte[] value, String text) {
        if (value.length < text.length()) {
            return false;
        }
        for (int i = 0; i < text.length(); i++) {
            if (value[i] != text.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private static final class Accounts extends KeyedProcessFunction<Row, Row, Row> {
        private static final long serialVersionUID = 1L;
        private static final String RECEIVED = "in:"; // before the id of a transfer
        private static final TopLevelField SOLD_MS = new TopLevelField("ended_ms");
        private static final TopLevelField AT_MS = new TopLevelField("event_time_ms");
        private static final TopLevelField KIND = new TopLevelField("kind");
        private static final TopLevelField ADJUSTMENT = new TopLevelField("adjustment_id");
        private final String events;
        private final String adjustments;
        private final String transfers;
        private final String requests;
        private final String holds;
        private final long rememberMs;
        private final long aheadMs;
        private transient ValueState<String> memberships;
        private transient MapState<String, String> adjusted;

        Accounts(String[] topics, long rememberMs, long aheadMs) {
            this.events = "kafka:" + topics[0] + "/";
            this.adjustments = "kafka:" + topics[1] + "/";
            this.holds = "kafka:" + topics[2] + "/";
            this.transfers = "kafka:" + topics[3] + "/";
            this.requests = "kafka:" + topics[4] + "/";
            this.rememberMs = rememberMs;
            this.aheadMs = aheadMs;
        }

        @Override
        public void open(OpenContext context) {
            memberships =
                    getRuntimeContext()
                            .getState(new ValueStateDescriptor<>("household-members", Types.STRING));
            MapStateDescriptor<String, String> went =
                    new MapStateDescriptor<>("household-adjusted", Types.STRING, Types.STRING);
            went.enableTimeToLive(
                    StateTtlConfig.newBuilder(Duration.ofMillis(Math.max(rememberMs, 1)))
                            .cleanupInRocksdbCompactFilter(1000)
                            .build());
            adjusted = getRuntimeContext().getMapState(went);
        }

        @Override
        public void processElement(Row row, Context context, Collector<Row> out) throws Exception {
            String customer = (String) row.getField(0);
            byte[] value = (byte[]) row.getField(1);
            if (startsWith(value, events)) {
                household(row, context, out);
            } else if (startsWith(value, transfers)) {
                out.collect(once(RECEIVED, row, customer));
            } else if (startsWith(value, adjustments)) {
                // An expiry or a transfer takes from the account that it names.
                boolean given = "goodwill".equals(KIND.read(payload(value)));
                out.collect(given ? once("", row, customer) : row);
            } else if (startsWith(value, requests)) {
                out.collect(ofAccount(row, customer, AT_MS));
            } else if (startsWith(value, holds)) {
                word(row, context, out);
            } else {
                boolean known = !customer.startsWith(Envelope.KEYLESS); // else nobody's: no state to look for
                Row made = known ? ofAccount(row, customer, SOLD_MS) : row;
                out.collect(made);
                context.output(TRANSACTIONS, made);
            }
        }

        private void household(Row row, Context context, Collector<Row> out) throws Exception {
            byte[] value = (byte[]) row.getField(1);
            HouseholdEvent event = HouseholdEvent.read(value);
            long latest = ArrivalTimes.of(value) + aheadMs;
            if (event == null || event.atMs > latest) {
                out.collect(row);
                return;
            }
            Memberships known = Memberships.read(memberships.value());
            List<HouseholdEvent> due = new ArrayList<>();
            String refused = known.add(event, due);
            if (refused != null) {
                if (!refused.equals(Memberships.REPEATED)) {
                    out.collect(Row.of(event.customer, stamped("refused:\"" + refused + '"', value)));
                }
                return;
            }
            memberships.update(known.write());
            for (HouseholdEvent one : due) {
                String from = one.join ? event.customer : one.household;
                out.collect(Row.of(from, stamped("move:" + one.transfer(event.customer), value)));
            }
            String now = known.newest();
            String household = now.isEmpty() ? "null" : '"' + now + '"';
            String told =
                    "{\"customer_id\":\"" + event.customer + "\",\"version\":" + known.version()
                            + ",\"household\":" + household + "}";
            context.output(MEMBERS, told.getBytes(StandardCharsets.UTF_8));
        }

        /** To where its receipt was posted, which is known further on. What is no word the stage behind refuses. */
        private void word(Row row, Context context, Collector<Row> out) {
            byte[] value = (byte[]) row.getField(1);
            HoldOrder order = HoldOrder.read(value);
            boolean none = order == null || order.customer == null;
            if (none || order.orderedMs > ArrivalTimes.of(value) + aheadMs) {
                out.collect(row);
            } else {
                context.output(TRANSACTIONS, Row.of(order.customer, stamped(WORD, value)));
            }
        }

        /** By when it happened; a record without such a time is no concern of a household's. */
        private Row ofAccount(Row row, String customer, TopLevelField time) throws Exception {
            String stored = memberships.value();
            if (stored == null) {
                return row;
            }
            String at = time.read(payload((byte[]) row.getField(1)));
            String account = at == null ? "" : Memberships.read(stored).at(millis(at));
            return of(account, row, customer);
        }

        /** The same, and again to where it went first, though the customer's households were others then. */
        private Row once(String kind, Row row, String customer) throws Exception {
            String id = ADJUSTMENT.read(payload((byte[]) row.getField(1)));
            if (id == null) {
                return row;
            }
            String name = kind + id;
            if (kind.isEmpty() && id.startsWith(RECEIVED)) {
                name = '#' + id; // no id begins so
            }
            String account = adjusted.get(name);
            if (account == null) {
                Row made = ofAccount(row, customer, AT_MS);
                account = made == row ? "" : (String) made.getField(0);
                adjusted.put(name, account);
            }
            return of(account, row, customer);
        }

        private static byte[] payload(byte[] envelope) {
            return Arrays.copyOfRange(envelope, Envelope.headEnd(envelope) + 1, envelope.length);
        }

        private static long millis(String digits) {
            try {
                return Long.parseLong(digits);
            } catch (NumberFormatException tooLong) {
                return -1;
            }
        }
    }
}
