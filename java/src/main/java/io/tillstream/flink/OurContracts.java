package io.tillstream.flink;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.functions.FilterFunction;
import org.apache.flink.types.Row;

/**
 * Of rows of (transaction id, enveloped record) those that may be of our contracts, or all others: our contracts have
 * an id and say their {@code "schema"}.
 */
public final class OurContracts implements FilterFunction<Row> {
    private static final long serialVersionUID = 1L;
    private static final byte[] SCHEMA = "\"schema\"".getBytes(StandardCharsets.US_ASCII);

    private final boolean ours;

    public OurContracts(boolean ours) {
        this.ours = ours;
    }

    @Override
    public boolean filter(Row row) {
        boolean keyed = !((String) row.getField(0)).startsWith(Envelope.KEYLESS);
        return (keyed && contains((byte[]) row.getField(1), SCHEMA)) == ours;
    }

    private static boolean contains(byte[] bytes, byte[] wanted) {
        int last = bytes.length - wanted.length;
        for (int at = 0; at <= last; at++) {
            int n = 0;
            while (n < wanted.length && bytes[at + n] == wanted[n]) {
                n++;
            }
            if (n == wanted.length) {
                return true;
            }
        }
        return false;
    }
}
