package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.StateTtlConfig;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.api.java.typeutils.TupleTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * What comes back of a receipt whose customer is another than the one who brings it, or was brought by
 * nobody known: a claim on the account of the receipt's owner. Wholly in the JVM, for it costs each sale.
 *
 * <p>A claim is {@code Row(owner, value)}; {@code value} is {@code claim:}, a JSON array of the original
 * receipt's id and its owner, a newline, and the transaction as it came, enveloped. The stage behind
 * reads it as it reads the transaction itself, which goes there too, by its own customer.
 *
 * <p>The owner is an account: the customer's, or that of the household that the customer was in. A receipt
 * belongs to the account that it came to first; where it comes to another's again, that one is given
 * {@code elsewhere:} and a JSON array of receipt, account and time of the sale, and takes it back.
 *
 * <p>What fraud says of a receipt goes on to its owner, as {@link Households} would have handed it on, and
 * waits for the receipt likewise: of each kind of word the newest one.
 *
 * <p>A return that comes before its receipt waits for it, as long as a receipt is remembered. What cannot
 * wait, because there are too many, is a claim without an owner: the stage behind makes a dead letter of it.
 * What holds no transaction is left alone; the stage behind gets it anyway.
 */
public final class ReceiptOwners {
    /** Returns that wait for one receipt, and earlier receipts that one return names. */
    static final int MOST = 16;

    private static final TypeInformation<byte[]> BYTES =
            PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    // receipt's id; its account, or that of who brings goods of it back, "" for nobody; what brings them, a word
    // of fraud, or nothing; when it was sold
    private static final TupleTypeInfo<Tuple4<String, String, byte[], Long>> NAMED =
            new TupleTypeInfo<>(Types.STRING, Types.STRING, BYTES, Types.LONG);
    private static final byte[] NOTHING = new byte[0];

    private ReceiptOwners() {}

    /**
     * @param rows (account, transaction of the front door, or a word of fraud, as {@link Households} hands it on)
     * @param rememberMs how long a receipt's owner is remembered, by the machine's clock
     */
    public static DataStream<Row> claims(DataStream<Row> rows, long rememberMs) {
        KeySelector<Tuple4<String, String, byte[], Long>, String> receipt = named -> named.f0;
        return rows.flatMap(new Named())
                .returns(NAMED)
                .uid("receipt-names")
                .name("receipts that are named")
                .keyBy(receipt, Types.STRING)
                .process(new Owner(rememberMs))
                .returns(Envelope.type())
                .uid("receipt-owners")
                .name("claims by owner");
    }

    /** {@code original}'s owner is to be asked for what {@code envelope} takes back of it. */
    private static Row claim(String original, String owner, byte[] envelope) {
        StringBuilder head = new StringBuilder(80).append("claim:[\"");
        CanonicalReceipt.quote(head, original);
        head.append("\",\"");
        CanonicalReceipt.quote(head, owner);
        byte[] first = head.append("\"]\n").toString().getBytes(StandardCharsets.UTF_8);
        byte[] value = new byte[first.length + envelope.length];
        System.arraycopy(first, 0, value, 0, first.length);
        System.arraycopy(envelope, 0, value, first.length, envelope.length);
        return Row.of(owner.isEmpty() ? Envelope.keyless(envelope) : owner, value);
    }

    /** The receipt counts in another account: it came again after its customer had joined a household or left. */
    private static Row elsewhere(String receipt, String account, long soldMs) {
        StringBuilder value = new StringBuilder(80).append("elsewhere:[\"");
        CanonicalReceipt.quote(value, receipt);
        value.append("\",\"");
        CanonicalReceipt.quote(value, account);
        value.append("\",").append(soldMs).append(']');
        return Row.of(account, value.toString().getBytes(StandardCharsets.UTF_8));
    }

    /** A row for a receipt that has a customer, and one for each that it takes something back of. */
    private static final class Named
            implements FlatMapFunction<Row, Tuple4<String, String, byte[], Long>> {
        private static final long serialVersionUID = 1L;

        @Override
        public void flatMap(Row row, Collector<Tuple4<String, String, byte[], Long>> out) {
            byte[] value = (byte[]) row.getField(1);
            byte[] envelope = Households.envelope(value);
            if (Households.isWord(value)) {
                out.collect(Tuple4.of(HoldOrder.read(envelope).transactionId, "", value, 0L));
                return;
            }
            ReceiptParties receipt = ReceiptParties.read(envelope);
            if (receipt == null) {
                return;
            }
            String own = Households.isMember(value) ? (String) row.getField(0) : receipt.customer;
            if (!own.isEmpty()) {
                out.collect(Tuple4.of(receipt.transactionId, own, NOTHING, receipt.endedMs));
            }
            int left = MOST;
            for (String original : receipt.originals) {
                // Each takes the whole receipt along: beyond the limit one more says that there were too many.
                boolean last = left-- == 0;
                out.collect(Tuple4.of(last ? "" : original, own, envelope, 0L));
                if (last) {
                    return;
                }
            }
        }
    }

    private static final class Owner
            extends KeyedProcessFunction<String, Tuple4<String, String, byte[], Long>, Row> {
        private static final long serialVersionUID = 1L;
        private final long rememberMs;
        private transient ValueState<String> owner;
        private transient ValueState<String> ofHeld;
        private transient MapState<String, byte[]> words;
        private transient ListState<Tuple2<String, byte[]>> waiting;

        Owner(long rememberMs) {
            this.rememberMs = rememberMs;
        }

        @Override
        public void open(OpenContext context) {
            StateTtlConfig life =
                    StateTtlConfig.newBuilder(Duration.ofMillis(Math.max(rememberMs, 1)))
                            .cleanupIncrementally(5, false)
                            .cleanupInRocksdbCompactFilter(1000)
                            .build();
            ValueStateDescriptor<String> of =
                    new ValueStateDescriptor<>("receipt-owner", Types.STRING);
            ListStateDescriptor<Tuple2<String, byte[]>> early =
                    new ListStateDescriptor<>("receipt-claims", Types.TUPLE(Types.STRING, BYTES));
            of.enableTimeToLive(life);
            early.enableTimeToLive(life);
            MapStateDescriptor<String, byte[]> said =
                    new MapStateDescriptor<>("receipt-words", Types.STRING, BYTES);
            said.enableTimeToLive(life);
            // While a sale is held its account does not forget it, and its verdict has to find the account.
            ValueStateDescriptor<String> until =
                    new ValueStateDescriptor<>("receipt-held", Types.STRING);
            StateLife.of(until, Math.max(rememberMs, StateLife.HELD_MS), false);
            owner = getRuntimeContext().getState(of);
            ofHeld = getRuntimeContext().getState(until);
            words = getRuntimeContext().getMapState(said);
            waiting = getRuntimeContext().getListState(early);
        }

        @Override
        public void processElement(
                Tuple4<String, String, byte[], Long> named, Context context, Collector<Row> out)
                throws Exception {
            if (named.f0.isEmpty()) { // of no one receipt
                out.collect(claim("", "", named.f2));
                return;
            }
            String known = owner.value();
            known = known == null ? ofHeld.value() : known;
            if (Households.isWord(named.f2)) {
                said(known, Households.envelope(named.f2), out);
            } else if (named.f2.length > 0) {
                takenBack(known, named, out);
            } else if (known == null) { // the first one counts: the front door lets an id through once
                owner.update(named.f1);
                for (Tuple2<String, byte[]> early : waiting.get()) {
                    emit(named.f0, named.f1, early.f0, early.f1, out);
                }
                waiting.clear();
                for (String action : new String[] {"hold", "release", "decline"}) {
                    byte[] word = words.get(action);
                    if (word != null) {
                        handOn(named.f1, word, HoldOrder.read(word), out);
                    }
                }
                words.clear();
            } else if (!known.equals(named.f1) && ofHousehold(known, named.f1)) {
                out.collect(elsewhere(named.f0, named.f1, named.f3));
            }
        }

        private void said(String known, byte[] word, Collector<Row> out) throws Exception {
            HoldOrder order = HoldOrder.read(word);
            if (known != null) {
                handOn(known, word, order, out);
                return;
            }
            byte[] before = words.get(order.action);
            if (before == null || HoldOrder.read(before).orderedMs < order.orderedMs) {
                words.put(order.action, word);
            }
        }

        private void handOn(String account, byte[] word, HoldOrder order, Collector<Row> out)
                throws Exception {
            if (order.isHold()) {
                ofHeld.update(account);
            } else if (ofHeld.value() != null) {
                owner.update(account); // remembered from its verdict on, which may be overturned
                ofHeld.clear();
            }
            String other = account.equals(order.customer) ? "" : account;
            out.collect(Households.of(other, Row.of(order.customer, word), order.customer));
        }

        private static boolean ofHousehold(String... accounts) {
            for (String account : accounts) {
                if (account.startsWith(Memberships.ACCOUNT)) {
                    return true;
                }
            }
            return false;
        }

        private void takenBack(
                String known, Tuple4<String, String, byte[], Long> named, Collector<Row> out)
                throws Exception {
            if (known != null) {
                emit(named.f0, known, named.f1, named.f2, out);
                return;
            }
            int early = 0;
            String own = idOf(named.f2);
            for (Tuple2<String, byte[]> claim : waiting.get()) {
                early++;
                if (own.equals(idOf(claim.f1))) {
                    return; // the front door wrote it again, after a crash
                }
            }
            if (early >= MOST) {
                out.collect(claim(named.f0, "", named.f2));
            } else {
                waiting.add(Tuple2.of(named.f1, named.f2));
            }
        }

        private static String idOf(byte[] envelope) {
            return ReceiptParties.read(envelope).transactionId; // it was read to come here
        }

        /** Nothing where the owner is who brings it: the transaction itself goes to that account. */
        private static void emit(
                String original, String owner, String bringer, byte[] envelope, Collector<Row> out) {
            if (!owner.equals(bringer)) {
                out.collect(claim(original, owner, envelope));
            }
        }
    }
}
