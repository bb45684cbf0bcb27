package io.tillstream.flink;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;

/**
 * What a record holds, where that is several documents. By these rules, and no others:
 *
 * <ul>
 *   <li>gzip is unpacked, up to 8 MiB; what does not unpack is one, as it came
 *   <li>what is no text is one: no UTF-8, and more than one byte in 32 is a control character
 *   <li>a byte order mark of UTF-8 is taken off
 *   <li>a JSON array of objects is its elements
 *   <li>objects one after the other, with or without a newline between them, are each their own
 *   <li>a broken object ends where a line begins with the next one, or takes all that is left
 * </ul>
 *
 * <p>After 10,000 pieces all that is left is one more. Anything else is one piece, as it came.
 */
public final class Pieces {
    private static final int MOST_PIECES = 10_000;
    private static final int NONE = Integer.MIN_VALUE; // no byte

    private Pieces() {}

    /** At least one. Never throws. */
    public static List<byte[]> of(byte[] payload) {
        byte[] raw = payload;
        if (begins(raw, 0x1f, 0x8b)) {
            raw = unpacked(raw);
            if (raw == payload) {
                return List.of(raw);
            }
        }
        if (begins(raw, 0xef, 0xbb, 0xbf)) {
            raw = Arrays.copyOfRange(raw, 3, raw.length);
        }
        if (!maybeSeveral(raw) || isBinary(raw)) {
            return List.of(raw);
        }
        List<byte[]> pieces = new ArrayList<>();
        int at = objects(raw, 0, pieces);
        int next;
        while (at < raw.length && pieces.size() < MOST_PIECES && (next = nextLine(raw, at)) > 0) {
            add(pieces, raw, at, next);
            at = objects(raw, next, pieces);
        }
        if (pieces.isEmpty()) {
            return List.of(raw);
        }
        add(pieces, raw, at, raw.length);
        return pieces;
    }

    private static boolean begins(byte[] raw, int... with) {
        for (int i = 0; i < with.length; i++) {
            if (i >= raw.length || (raw[i] & 0xff) != with[i]) {
                return false;
            }
        }
        return true;
    }

    private static byte[] unpacked(byte[] raw) {
        try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(raw))) {
            byte[] found = in.readNBytes(Json.MOST_BYTES + 1);
            return found.length > Json.MOST_BYTES ? raw : found;
        } catch (IOException notGzip) {
            return raw;
        }
    }

    /** Nearly every record is one object, and this alone looks at it. */
    private static boolean maybeSeveral(byte[] raw) {
        int before = NONE; // the last one that is no blank
        for (int i = 0; i < raw.length; i++) {
            byte b = raw[i];
            if (b == '{' && (before == '}' || before != NONE && raw[i - 1] == '\n')) {
                return true;
            }
            if (b == '[' && before == NONE) {
                return true;
            }
            if (!blank(b)) {
                before = b;
            }
        }
        return false;
    }

    /** Compressed bytes and pictures are; a line of text with a damaged byte or two is not. */
    private static boolean isBinary(byte[] raw) {
        int controls = 0;
        for (byte b : raw) {
            if (b >= 0 && b < ' ' && !blank(b)) {
                controls++;
            }
        }
        return controls > raw.length / 32 && !isUtf8(raw);
    }

    private static boolean isUtf8(byte[] raw) {
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(raw)); // reports what is malformed
            return true;
        } catch (CharacterCodingException malformed) {
            return false;
        }
    }

    private static boolean blank(byte b) {
        return b == ' ' || b == '\n' || b == '\r' || b == '\t';
    }

    /** Adds the whole objects from {@code start} on; where the first byte after the last one is. */
    private static int objects(byte[] raw, int start, List<byte[]> pieces) {
        int end = start;
        boolean array = false;
        try (JsonParser parser =
                Json.FACTORY.createParser(raw, start, raw.length - start)) {
            JsonToken token;
            while (pieces.size() < MOST_PIECES && (token = parser.nextToken()) != null) {
                if (token == JsonToken.START_ARRAY && !array && start == 0 && pieces.isEmpty()) {
                    array = true;
                } else if (token == JsonToken.END_ARRAY) {
                    array = false;
                    end = start + (int) parser.getCurrentLocation().getByteOffset();
                } else if (token == JsonToken.START_OBJECT) {
                    int from = start + (int) parser.getTokenLocation().getByteOffset();
                    Json.skip(parser);
                    end = start + (int) parser.getCurrentLocation().getByteOffset();
                    pieces.add(Arrays.copyOfRange(raw, from, end));
                    if (array) {
                        end = pastComma(raw, end);
                    }
                } else {
                    break;
                }
            }
        } catch (IOException | RuntimeException notJson) {
            return end;
        }
        return end;
    }

    private static int pastComma(byte[] raw, int from) {
        int at = from;
        while (at < raw.length && blank(raw[at])) {
            at++;
        }
        return at < raw.length && raw[at] == ',' ? at + 1 : from;
    }

    /** Where after {@code from} a line begins with an object; 0 if none does. */
    private static int nextLine(byte[] raw, int from) {
        for (int i = from + 1; i < raw.length; i++) {
            if (raw[i] == '{' && raw[i - 1] == '\n') {
                return i;
            }
        }
        return 0;
    }

    /** The bytes without blanks around them; nothing if there are only blanks. */
    private static void add(List<byte[]> pieces, byte[] raw, int from, int to) {
        int first = from;
        int last = to;
        while (first < last && blank(raw[first])) {
            first++;
        }
        while (last > first && blank(raw[last - 1])) {
            last--;
        }
        if (first < last) {
            pieces.add(Arrays.copyOfRange(raw, first, last));
        }
    }
}
