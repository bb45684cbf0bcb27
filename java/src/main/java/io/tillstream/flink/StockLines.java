package io.tillstream.flink;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
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
 * sale}, {@code refund} for what comes back to the shelf, and {@code void} for either in a void. A void
 * of contract v1 looks the same whether it undoes a sale or a refund, so its lines name behind the unit
 * the line that they undo; the shelf knows what that did.
 *
 * <p>A line of a bundle, which is sold under one code and holds other products, is a row for each of
 * them instead, with the id {@code "<transaction_id>/<n>/<product>"}: here and nowhere else are bundles
 * taken apart.
 *
 * <p>A record that is no transaction leaves as it came after the byte {@code T}, with a key from a
 * hash of its bytes, and so does one with a line that no shelf can count, besides its other lines: the
 * stage behind says why and writes the one dead letter. udfs/passing/stock.py reads both.
 */
public final class StockLines implements FlatMapFunction<Row, Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;
    private static final char LINE = 'L';
    private static final byte TRANSACTION = 'T';
    static final String CONTRACT_V1 = "pos/1";
    private static final ArrayList<Part> NO_PARTS = new ArrayList<>();

    /** What one bundle holds of a product, in the units of its shelf. */
    private static final class Part implements Serializable {
        private static final long serialVersionUID = 1L;
        final String product;
        final long units;
        final String unit;

        Part(String product, long units, String unit) {
            this.product = product;
            this.units = units;
            this.unit = unit;
        }
    }

    private final HashMap<String, ArrayList<Part>> bundles = new HashMap<>();

    /** Says that {@code bundle} holds {@code units} of {@code product}, pieces or thousandths of {@code unit}. */
    public StockLines part(String bundle, String product, long units, String unit) {
        bundles.computeIfAbsent(bundle, any -> new ArrayList<>()).add(new Part(product, units, unit));
        return this;
    }

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
            if (!isCountable(line)) {
                allCounted = false;
                continue;
            }
            List<Part> parts = bundles.get(line.product);
            if (parts == null) {
                out.collect(moved(receipt, line, String.valueOf(n), line.product, line.units(), line.unit));
                continue;
            }
            for (Part part : parts) {
                long units = line.units() * part.units;
                String id = n + "/" + part.product;
                out.collect(moved(receipt, line, id, part.product, units, part.unit));
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

    /** What a shelf keeps of a line has four bytes for its quantity. A bundle is sold by the piece. */
    private boolean isCountable(CanonicalReceipt.Line line) {
        if (line.isPartOfPiece() || Math.abs(line.units()) > Integer.MAX_VALUE) {
            return false;
        }
        for (Part part : bundles.getOrDefault(line.product, NO_PARTS)) {
            if (!line.unit.equals("each")
                    || Math.abs(line.units()) * part.units > Integer.MAX_VALUE) {
                return false;
            }
        }
        return true;
    }

    private static Row moved(
            CanonicalReceipt receipt,
            CanonicalReceipt.Line line,
            String id,
            String product,
            long units,
            String unit) {
        String kind = receipt.isVoid ? "void" : line.kind.equals("sale") ? "sale" : "refund";
        StringBuilder json = new StringBuilder(160).append(LINE);
        json.append("[\"").append(kind).append("\",\"");
        CanonicalReceipt.quote(json, receipt.transactionId);
        json.append('/');
        CanonicalReceipt.quote(json, id);
        json.append("\",").append((int) receipt.store).append(",\"");
        CanonicalReceipt.quote(json, product);
        json.append("\",").append(-units).append(',').append((long) receipt.endedMs);
        json.append(",null,").append(receipt.arrivedMs).append(",\"");
        CanonicalReceipt.quote(json, unit);
        if (receipt.isVoid && receipt.source.equals(CONTRACT_V1)) {
            json.append("\",\"");
            CanonicalReceipt.quote(json, receipt.voids);
            json.append('/');
            CanonicalReceipt.quote(json, id);
        }
        json.append("\"]");
        return Row.of(
                receipt.store + "/" + product, json.toString().getBytes(StandardCharsets.UTF_8));
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
