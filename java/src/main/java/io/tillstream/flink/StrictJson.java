package io.tillstream.flink;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/** Records of a contract that Python reads too, read as strictly: one object, in UTF-8, no field twice. */
final class StrictJson {
    static final Pattern ID = Pattern.compile("[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}");
    static final long FROM_2015_MS = 1_420_070_400_000L;
    static final long TO_2100_MS = 4_133_980_800_000L;

    private StrictJson() {}

    /** Makes a record of an object whose beginning was read. */
    interface Contract<T> {
        T read(JsonParser parser) throws IOException;
    }

    /** Null where {@code envelope} holds anything but one object of the contract. Never throws. */
    static <T> T read(byte[] envelope, Contract<T> contract) {
        int start = Envelope.headEnd(envelope) + 1;
        try {
            ByteBuffer payload = ByteBuffer.wrap(envelope, start, envelope.length - start);
            String json = StandardCharsets.UTF_8.newDecoder().decode(payload).toString();
            try (JsonParser parser = Json.STRICT.createParser(json)) {
                CanonicalReceipt.expect(parser.nextToken() == JsonToken.START_OBJECT);
                T found = contract.read(parser);
                return parser.nextToken() == null ? found : null;
            }
        } catch (IOException | RuntimeException notOne) {
            return null;
        }
    }

    static String text(JsonParser parser, Pattern pattern) throws IOException {
        String found = CanonicalReceipt.text(parser);
        CanonicalReceipt.expect(pattern.matcher(found).matches());
        return found;
    }
}
