package io.tillstream.flink;

import java.io.IOException;
import java.io.Serializable;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonParser;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonToken;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.RowType;

/**
 * JSON objects as rows of a given type, in one pass of a streaming parser.
 *
 * <p>Columns take the JSON field of their name. Fields without a column are skipped, columns
 * without a field are null. A bytes column reads base64, a timestamp column epoch milliseconds.
 *
 * <p>Files behind it appear when a checkpoint is complete, so it reports how long ago that was.
 */
public final class JsonToRow extends RichMapFunction<byte[], RowData>
        implements CheckpointListener, ResultTypeQueryable<RowData> {
    private static final long serialVersionUID = 1L;

    private final RowType type;
    private final RowReader reader;

    private transient Reported.CheckpointAge checkpoint;

    public JsonToRow(RowType type) {
        this.type = type;
        this.reader = new RowReader(type);
    }

    @Override
    public void open(OpenContext context) {
        checkpoint = Reported.CheckpointAge.in(getRuntimeContext().getMetricGroup());
    }

    @Override
    public void notifyCheckpointComplete(long id) {
        checkpoint.complete();
    }

    @Override
    public RowData map(byte[] json) throws IOException {
        try (JsonParser parser = Json.FACTORY.createParser(json)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new IOException("expected a JSON object, found " + parser.currentToken());
            }
            return (RowData) reader.read(parser);
        }
    }

    @Override
    public TypeInformation<RowData> getProducedType() {
        return InternalTypeInfo.of(type);
    }

    /** Reads the value that the parser stands on; null tokens are handled by {@link #readOrNull}. */
    private interface Reader extends Serializable {
        Object read(JsonParser parser) throws IOException;
    }

    private static Object readOrNull(Reader reader, JsonParser parser) throws IOException {
        return parser.currentToken() == JsonToken.VALUE_NULL ? null : reader.read(parser);
    }

    private static Reader reader(LogicalType type) {
        switch (type.getTypeRoot()) {
            case CHAR:
            case VARCHAR:
                return parser -> StringData.fromString(text(parser));
            case BINARY:
            case VARBINARY:
                return parser -> Base64.getDecoder().decode(text(parser));
            case BOOLEAN:
                return JsonParser::getBooleanValue;
            case TINYINT:
                return JsonParser::getByteValue;
            case SMALLINT:
                return JsonParser::getShortValue;
            case INTEGER:
                return JsonParser::getIntValue;
            case BIGINT:
                return JsonParser::getLongValue;
            case FLOAT:
                return JsonParser::getFloatValue;
            case DOUBLE:
                return JsonParser::getDoubleValue;
            case DECIMAL:
                int precision = ((DecimalType) type).getPrecision();
                int scale = ((DecimalType) type).getScale();
                return parser ->
                        DecimalData.fromBigDecimal(
                                new BigDecimal(parser.getText()), precision, scale);
            case TIMESTAMP_WITHOUT_TIME_ZONE:
            case TIMESTAMP_WITH_LOCAL_TIME_ZONE:
                return parser -> TimestampData.fromEpochMillis(parser.getLongValue());
            case ARRAY:
                return new ArrayReader((ArrayType) type);
            case ROW:
                return new RowReader((RowType) type);
            default:
                throw new IllegalArgumentException("no JSON form for column type " + type);
        }
    }

    private static String text(JsonParser parser) throws IOException {
        if (parser.currentToken() != JsonToken.VALUE_STRING) {
            throw new IOException("expected a JSON string, found " + parser.currentToken());
        }
        return parser.getText();
    }

    private static final class RowReader implements Reader {
        private static final long serialVersionUID = 1L;
        private final Map<String, Integer> positions = new HashMap<>();
        private final List<Reader> readers = new ArrayList<>();

        RowReader(RowType type) {
            for (RowType.RowField field : type.getFields()) {
                positions.put(field.getName(), readers.size());
                readers.add(reader(field.getType()));
            }
        }

        @Override
        public Object read(JsonParser parser) throws IOException {
            GenericRowData row = new GenericRowData(readers.size());
            String field;
            while ((field = parser.nextFieldName()) != null) {
                parser.nextToken();
                Integer position = positions.get(field);
                if (position == null) {
                    Json.skip(parser);
                    continue;
                }
                try {
                    row.setField(position, readOrNull(readers.get(position), parser));
                } catch (IOException | IllegalArgumentException wrong) {
                    // The field's name, never its value: records may hold personal data.
                    throw new IOException("JSON field '" + field + "' does not fit its column", wrong);
                }
            }
            return row;
        }
    }

    private static final class ArrayReader implements Reader {
        private static final long serialVersionUID = 1L;
        private final Reader element;

        ArrayReader(ArrayType type) {
            this.element = reader(type.getElementType());
        }

        @Override
        public Object read(JsonParser parser) throws IOException {
            List<Object> elements = new ArrayList<>();
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                elements.add(readOrNull(element, parser));
            }
            return new GenericArrayData(elements.toArray());
        }
    }
}
