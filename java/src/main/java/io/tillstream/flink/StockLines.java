package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Enveloped till transactions as one row for each line of the basket, keyed by store and product.
 *
 * <p>{@code key} is {@code <store>/<product>}; {@code value} is the byte {@code L} and a JSON array of
 * what moves the stock: {@code [kind, "<transaction_id>/<n>", store, product, signed quantity,
 * event_time_ms, null, arrived_ms]}, n from 1. A sale takes away, a refund or void brings back.
 *
 * <p>A record that is no transaction, or one from the future, leaves as it came after the byte
 * {@code T}, with a key from a hash of its bytes: the stage behind says why and writes the one dead
 * letter. udfs/passing/stock.py reads both.
 */
public final class StockLines implements FlatMapFunction<Row, Row>, ResultTypeQueryable<Row> {
    private static final long serialVersionUID = 1L;
    private static final char LINE = 'L';
    private static final byte TRANSACTION = 'T';

    private final long clockAheadMs;

    /** @param clockAheadMs how far a till's clock may run ahead of the broker's */
    public StockLines(long clockAheadMs) {
        this.clockAheadMs = clockAheadMs;
    }

    @Override
    public void flatMap(Row row, Collector<Row> out) {
        byte[] envelope = (byte[]) row.getField(1);
        SealedReceipt sealed = new SealedReceipt(envelope, clockAheadMs);
        TillReceipt receipt = sealed.receipt;
        if (receipt == null) {
            byte[] asItCame = new byte[envelope.length + 1];
            asItCame[0] = TRANSACTION;
            System.arraycopy(envelope, 0, asItCame, 1, envelope.length);
            out.collect(Row.of(Envelope.keyless(sealed.payload), asItCame));
            return;
        }
        boolean sale = receipt.kind.equals("sale");
        // No text of a checked transaction needs escaping.
        String head = LINE + "[\"" + receipt.kind + "\",\"" + receipt.transactionId + '/';
        String store = Integer.toString(receipt.store);
        int n = 0;
        for (TillReceipt.Line line : receipt.lines) {
            n++;
            String json =
                    head + n + "\"," + store + ",\"" + line.product + "\","
                            + (sale ? -line.quantity : line.quantity) + ',' + receipt.eventTimeMs
                            + ",null," + sealed.arrivedMs + ']';
            out.collect(
                    Row.of(store + '/' + line.product, json.getBytes(StandardCharsets.ISO_8859_1)));
        }
    }

    @Override
    public TypeInformation<Row> getProducedType() {
        return Envelope.type();
    }
}
