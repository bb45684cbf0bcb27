package io.tillstream.flink;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.JsonStringEncoder;

/**
 * What stock and sales need of a transaction of the front door, {@code
 * tillstream/domain/receipt/canonical.py}, in one pass of a streaming parser.
 *
 * <p>It was checked when it was written, so no more is looked at than whether these fields are there
 * and of their types, as {@code tillstream/domain/stock/baskets.py} has them.
 */
final class CanonicalReceipt {
    private static final long VERSION = 1;
    // The limits of receipt/reading.py: what lies beyond them would stop a sink or a window.
    private static final long MOST = (1L << 53) - 1;
    private static final int MOST_LINES = 1_000;
    private static final int MOST_DEPTH = 64;
    private static final long FROM_2015_MS = 1_420_070_400_000L;
    private static final long TO_2100_MS = 4_133_980_800_000L - 1;
    private static final JsonStringEncoder JSON_TEXT = JsonStringEncoder.getInstance();

    /** One line; fields that are left out have the defaults of {@code canonical.Item}. */
    static final class Line {
        String kind;
        /** As printed. */
        String product;
        Long amount;
        Long paid;
        long thousandths = 1000;
        String unit = "each";
        Long listPrice;
        String backTo = "";
        /** Rung up and taken out again within its receipt, or the line that took it out. */
        boolean takenOut;

        /** Goods of a known product; others are on no shelf, like deposits and fees. */
        boolean isOnShelf() {
            return isTrade() && !product.isEmpty();
        }

        boolean isTrade() {
            return kind.equals("sale") || kind.equals("return");
        }

        boolean isPartOfPiece() {
            return unit.equals("each") && thousandths % 1000 != 0;
        }

        /** By what a line is known that takes it out, its quantity and money times {@code sign}. */
        List<Object> alike(long sign) {
            return List.of(
                    kind, product, unit, backTo, sign * thousandths, sign * amount, sign * paid);
        }

        /** Stock's whole units, as {@code stock_units} of {@code receipt/reading.py}. */
        long units() {
            return unit.equals("each") ? thousandths / 1000 : thousandths;
        }
    }

    /** A tax of the receipt, {@code canonical.TaxOf}. */
    static final class Tax {
        String code;
        Long amount;
        String rate = "";
        boolean added;
        Long net;
    }

    String transactionId;
    /** The contract or mapping it came by. */
    String source;
    /** What a void undoes. */
    String voids = "";
    String currency;
    String businessDay = "";
    boolean isVoid;
    Integer store;
    Long endedMs;
    /** When the till's own record arrived, ms UTC. */
    long arrivedMs;
    List<Line> lines;
    /** Those that are as the front door writes them: nothing but sales reads them. */
    List<Tax> taxes = new ArrayList<>();

    private CanonicalReceipt() {}

    /** The transaction in {@code envelope}, or null if it holds none. Never throws. */
    static CanonicalReceipt read(byte[] envelope) {
        int start = Envelope.headEnd(envelope) + 1;
        if (!isUtf8Object(envelope, start)) {
            return null;
        }
        // Anybody may have put anything into the topic.
        try (JsonParser parser =
                Json.FACTORY.createParser(envelope, start, envelope.length - start)) {
            CanonicalReceipt receipt = new CanonicalReceipt();
            receipt.fill(parser);
            // Never after it was written here.
            receipt.arrivedMs = Math.min(receipt.arrivedMs, ArrivalTimes.of(envelope));
            if (parser.nextToken() != null || !receipt.isWhole()) {
                return null;
            }
            receipt.markTakenOut();
            return receipt;
        } catch (IOException | RuntimeException notCanonical) {
            return null;
        }
    }

    /** Adds {@code text} to a JSON text, without the quotes around it. */
    static void quote(StringBuilder json, String text) {
        JSON_TEXT.quoteAsString(text, json);
    }

    /** The parser would take UTF-16, UTF-32 and a byte order mark too. */
    private static boolean isUtf8Object(byte[] envelope, int start) {
        return start + 1 < envelope.length && envelope[start] == '{' && envelope[start + 1] != 0;
    }

    private boolean isWhole() {
        return transactionId != null && source != null && currency != null && store != null
                && endedMs != null && lines != null;
    }

    private void fill(JsonParser parser) throws IOException {
        expect(parser.nextToken() == JsonToken.START_OBJECT);
        String name;
        while ((name = parser.nextFieldName()) != null) {
            parser.nextToken();
            switch (name) {
                case "version":
                    expect(whole(parser, VERSION, VERSION) == VERSION);
                    break;
                case "transaction_id":
                    transactionId = text(parser);
                    break;
                case "source":
                    source = text(parser);
                    break;
                case "voids":
                    voids = text(parser);
                    break;
                case "kind":
                    String kind = text(parser);
                    isVoid = kind.equals("void");
                    expect(isVoid || kind.equals("retail"));
                    break;
                case "store":
                    store = (int) whole(parser, 0, Integer.MAX_VALUE);
                    break;
                case "ended_ms":
                    endedMs = whole(parser, FROM_2015_MS, TO_2100_MS);
                    break;
                case "currency":
                    currency = text(parser);
                    break;
                case "arrived_ms":
                    arrivedMs = whole(parser, 0, TO_2100_MS);
                    break;
                case "lines":
                    lines = lines(parser);
                    break;
                case "business_day":
                    businessDay = textOr("", parser);
                    break;
                case "taxes":
                    taxes = taxes(parser);
                    break;
                default:
                    skip(parser);
            }
        }
        expect(parser.currentToken() == JsonToken.END_OBJECT);
    }

    /** Past a value that is not needed. What the front door writes has nothing so deep. */
    static void skip(JsonParser parser) throws IOException {
        Json.skipStrictly(parser, MOST_DEPTH);
    }

    private static List<Line> lines(JsonParser parser) throws IOException {
        expect(parser.currentToken() == JsonToken.START_ARRAY);
        List<Line> lines = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            expect(lines.size() < MOST_LINES);
            lines.add(line(parser));
        }
        return lines;
    }

    private static Line line(JsonParser parser) throws IOException {
        expect(parser.currentToken() == JsonToken.START_OBJECT);
        Line line = new Line();
        String name;
        while ((name = parser.nextFieldName()) != null) {
            JsonToken token = parser.nextToken();
            switch (name) {
                case "kind":
                    line.kind = text(parser);
                    break;
                case "product":
                    line.product = Products.printed(text(parser));
                    break;
                case "amount":
                    line.amount = amount(parser);
                    break;
                case "paid":
                    line.paid = amount(parser);
                    break;
                case "thousandths":
                    line.thousandths = amount(parser);
                    break;
                case "unit":
                    line.unit = text(parser);
                    break;
                case "list_price":
                    line.listPrice = token == JsonToken.VALUE_NULL ? null : amount(parser);
                    break;
                case "back_to":
                    line.backTo = text(parser);
                    break;
                default:
                    skip(parser);
            }
        }
        expect(parser.currentToken() == JsonToken.END_OBJECT);
        expect(line.kind != null && line.product != null);
        expect(line.amount != null && line.paid != null);
        return line;
    }

    /** Whether a line is on the side of what is sold; else of what comes back. */
    boolean isSold(Line line) {
        return line.kind.equals("sale") != isVoid;
    }

    /** Whether a trade line goes the other way than its kind: it takes back one before it. */
    private boolean isCorrection(Line line) {
        return isSold(line) ? line.thousandths < 0 : line.thousandths > 0;
    }

    /**
     * As {@code taken_out} of {@code tillstream/domain/stock/baskets.py}: pairs of lines alike but for
     * their signs, of goods that go to the same place.
     */
    private void markTakenOut() {
        boolean corrected = false;
        for (Line line : lines) {
            corrected |= line.isTrade() && isCorrection(line);
        }
        if (!corrected) {
            return;
        }
        Map<List<Object>, Deque<Line>> rungUp = new HashMap<>();
        for (Line line : lines) {
            if (!line.isTrade() || line.thousandths == 0) {
                continue;
            }
            Deque<Line> before = rungUp.get(line.alike(-1));
            if (before == null || before.isEmpty()) {
                rungUp.computeIfAbsent(line.alike(1), key -> new ArrayDeque<>()).push(line);
            } else {
                before.pop().takenOut = true;
                line.takenOut = true;
            }
        }
    }

    /** What is not of these types is left out. Never refuses what stock takes. */
    private static List<Tax> taxes(JsonParser parser) throws IOException {
        List<Tax> taxes = new ArrayList<>();
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            skip(parser);
            return taxes;
        }
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            if (parser.currentToken() != JsonToken.START_OBJECT) {
                skip(parser);
                continue;
            }
            Tax tax = new Tax();
            String name;
            while ((name = parser.nextFieldName()) != null) {
                JsonToken token = parser.nextToken();
                switch (name) {
                    case "code":
                        tax.code = textOr(null, parser);
                        break;
                    case "rate":
                        tax.rate = textOr("", parser);
                        break;
                    case "amount":
                        tax.amount = amountOrNull(parser);
                        break;
                    case "net":
                        tax.net = amountOrNull(parser);
                        break;
                    case "added":
                        tax.added = token == JsonToken.VALUE_TRUE;
                        skip(parser);
                        break;
                    default:
                        skip(parser);
                }
            }
            if (tax.code != null && tax.amount != null) {
                taxes.add(tax);
            }
        }
        return taxes;
    }

    private static String textOr(String other, JsonParser parser) throws IOException {
        if (parser.currentToken() == JsonToken.VALUE_STRING) {
            return parser.getText();
        }
        skip(parser);
        return other;
    }

    private static Long amountOrNull(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT) {
            skip(parser);
            return null;
        }
        boolean large = parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER;
        return large || Math.abs(parser.getLongValue()) > MOST ? null : (Long) parser.getLongValue();
    }

    private static long amount(JsonParser parser) throws IOException {
        return whole(parser, -MOST, MOST);
    }

    static long whole(JsonParser parser, long least, long most) throws IOException {
        expect(parser.currentToken() == JsonToken.VALUE_NUMBER_INT);
        long value = parser.getLongValue();
        expect(least <= value && value <= most);
        return value;
    }

    static String text(JsonParser parser) throws IOException {
        expect(parser.currentToken() == JsonToken.VALUE_STRING);
        return parser.getText();
    }

    static void expect(boolean right) throws IOException {
        if (!right) {
            throw new IOException("no transaction of the front door");
        }
    }
}
