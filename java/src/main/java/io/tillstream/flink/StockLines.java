package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Enveloped transactions of the front door as one row for each line that moves stock, keyed by store
 * and product.
 *
 * <p>{@code key} is {@code <store>/<product>}; {@code value} is the byte {@code L} and a JSON array of
 * what moves the stock: {@code [kind, "<transaction_id>/<n>", store, product, signed quantity,
 * event_time_ms, null, arrived_ms, unit]}, n from 1 among all lines of the receipt. Kinds are {@code
 * sale}, {@code refund} for what comes back to the shelf, and {@code void} for either in a void.
 *
 * <p>A record that is no transaction leaves as it came after the byte {@code T}, with a key from a
 * hash of its bytes, and so does one with a line that no shelf can count, besides its other lines: the
 * stage behind says why and writes the one dead letter. udfs/passing/stock.py reads both.
 */
public final class StockLines implements FlatMapFunction<Row, Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;
    private static final char LINE = 'L';
    private static final byte TRANSACTION = 'T';

    @Override
    public void flatMap(Row row, Collector<Row> out) {
        byte[] envelope = (byte[]) row.getField(1);
        CanonicalReceipt receipt = CanonicalReceipt.read(envelope);
        if (receipt == null) {
            out.collect(asItCame(envelope));
            return;
        }
        boolean allCounted = true;
        int n = 0;
        for (CanonicalReceipt.Line line : receipt.lines) {
            n++;
            if (!moves(line) || line.takenOut) {
                continue;
            }
            if (isCountable(line)) {
                out.collect(moved(receipt, line, n));
            } else {
                allCounted = false;
            }
        }
        if (!allCounted) {
            out.collect(asItCame(envelope));
        }
    }

    private static boolean moves(CanonicalReceipt.Line line) {
        boolean toShelf = line.kind.equals("sale") || line.backTo.equals("shelf");
        return line.isTrade() && toShelf && !line.product.isEmpty();
    }

    /** What a shelf keeps of a line has four bytes for its quantity. */
    private static boolean isCountable(CanonicalReceipt.Line line) {
        return !line.isPartOfPiece() && Math.abs(line.units()) <= Integer.MAX_VALUE;
    }

    private static Row moved(CanonicalReceipt receipt, CanonicalReceipt.Line line, int n) {
        String kind = receipt.isVoid ? "void" : line.kind.equals("sale") ? "sale" : "refund";
        StringBuilder json = new StringBuilder(160).append(LINE);
        json.append("[\"").append(kind).append("\",\"");
        CanonicalReceipt.quote(json, receipt.transactionId);
        json.append('/').append(n).append("\",").append((int) receipt.store).append(",\"");
        CanonicalReceipt.quote(json, line.product);
        json.append("\",").append(-line.units()).append(',').append((long) receipt.endedMs);
        json.append(",null,").append(receipt.arrivedMs).append(",\"");
        CanonicalReceipt.quote(json, line.unit);
        json.append("\"]");
        return Row.of(
                receipt.store + "/" + line.product,
                json.toString().getBytes(StandardCharsets.UTF_8));
    }

    private static Row asItCame(byte[] envelope) {
        byte[] value = new byte[envelope.length + 1];
        value[0] = TRANSACTION;
        System.arraycopy(envelope, 0, value, 1, envelope.length);
        int start = Envelope.headEnd(envelope) + 1;
        return Row.of(
                Envelope.keyless(Arrays.copyOfRange(envelope, start, envelope.length)), value);
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
