package io.tillstream.flink;

import java.time.LocalDate;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.functions.sink.filesystem.BucketAssigner;
import org.apache.flink.streaming.api.functions.sink.filesystem.bucketassigners.SimpleVersionedStringSerializer;
import org.apache.flink.table.data.RowData;

/** Folders {@code date=YYYY-MM-DD[/region=<slug>]}, the date in UTC, as Hive and DuckDB read them. */
final class DatedBuckets implements BucketAssigner<RowData, String> {
    private static final long serialVersionUID = 1L;
    private static final Pattern SLUG = Pattern.compile("[a-z0-9][a-z0-9-]{0,63}");
    private static final String NO_REGION = "unknown";
    private static final int REMEMBERED = 4096;

    private final int epochMsColumn;
    private final int regionColumn;
    private final Map<Long, Map<String, String>> known = new HashMap<>();

    /**
     * @param epochMsColumn position of the BIGINT column of epoch milliseconds
     * @param regionColumn position of the STRING column, or -1 for folders by date alone
     */
    DatedBuckets(int epochMsColumn, int regionColumn) {
        this.epochMsColumn = epochMsColumn;
        this.regionColumn = regionColumn;
    }

    @Override
    public String getBucketId(RowData row, Context context) {
        long day = Math.floorDiv(row.getLong(epochMsColumn), TimeUnit.DAYS.toMillis(1));
        String region = "";
        if (regionColumn >= 0) {
            region = row.isNullAt(regionColumn) ? NO_REGION : row.getString(regionColumn).toString();
        }
        if (known.size() > REMEMBERED) {
            known.clear();
        }
        return known.computeIfAbsent(day, d -> new HashMap<>())
                .computeIfAbsent(region, r -> path(day, r));
    }

    private static String path(long day, String region) {
        String date = "date=" + LocalDate.ofEpochDay(day);
        if (region.isEmpty()) {
            return date;
        }
        // A region becomes part of an object's name: nothing but a slug may get there.
        return date + "/region=" + (SLUG.matcher(region).matches() ? region : NO_REGION);
    }

    @Override
    public SimpleVersionedSerializer<String> getSerializer() {
        return SimpleVersionedStringSerializer.INSTANCE;
    }
}
