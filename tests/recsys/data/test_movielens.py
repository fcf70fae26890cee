"""MovieLens: hand-written excerpts in each of its three layouts, and the real list of movies of 1M."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recsys.data.movielens import MovieLens
from recsys.data.movielens_movies import dat_movies, read_movies
from recsys.errors import SourceError
from tests.recsys.data.accounts import events_of, items_of, refused, rows_in
from tests.recsys.data.raw_sets import real

CSV_RATINGS = "userId,movieId,rating,timestamp\n1,10,3.5,1112486027\n1,20,5.0,1112484676\n2,10,0.5,1112486028\n"
CSV_MOVIES = 'movieId,title,genres\n10,"Small Hours, The (1995)",Drama|Romance\n20,Nobody Knows,(no genres listed)\n'
DAT_RATINGS = "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n"
DAT_MOVIES = "10::Small Hours, The (1995)::Drama|Romance\n20::Café (1987)::Comedy\n"
FLAGS = "0|1|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0"


def movielens(folder: Path, **files: str | bytes) -> MovieLens:
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return MovieLens(folder=str(folder), cutoff="2005-04-03")  # type: ignore[arg-type]


def test_a_rating_of_the_csv_releases_is_one_event(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__csv=CSV_RATINGS, movies__csv=CSV_MOVIES)
    first = events_of(source).to_pylist()[0]
    assert (first["type"], first["user_id"], first["item_id"], first["rating"]) == ("rating", "1", "10", 3.5)
    assert first["occurred_at"] == datetime(2005, 4, 2, 23, 53, 47, tzinfo=UTC)
    assert first["event_id"] == "1-10-1112486027"
    assert (rows_in(source), refused(source)) == (3, [])
    assert source.order_only is False


def test_genres_are_one_category_and_all_of_them_an_attribute(tmp_path: Path) -> None:
    items = items_of(movielens(tmp_path, ratings__csv=CSV_RATINGS, movies__csv=CSV_MOVIES))
    assert items["10"]["title"] == "Small Hours, The (1995)"
    assert items["10"]["category"] == ["Drama"]
    assert items["10"]["attributes"] == [("genres", "Drama|Romance")]
    assert items["10"]["text"] == "Drama, Romance"
    assert items["10"]["created_at"] == datetime(1995, 1, 1, tzinfo=UTC)
    assert (items["20"]["category"], items["20"]["attributes"], items["20"]["created_at"]) == ([], None, None)


def test_1m_is_read_with_two_colons_and_latin_1(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__dat=DAT_RATINGS, movies__dat=DAT_MOVIES.encode("latin-1"))
    events = events_of(source)
    assert events["event_id"].to_pylist() == ["1-10-978300760", "1-20-978302109", "2-10-978301968"]
    assert items_of(source)["20"]["title"] == "Café (1987)"


def test_10m_has_half_stars_and_utf_8(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__dat="1::122::4.5::838985046\n", movies__dat=DAT_MOVIES)
    assert events_of(source)["rating"].to_pylist() == [4.5]
    assert items_of(source)["20"]["title"] == "Café (1987)"


def test_100k_is_read_with_tabs_and_a_column_per_genre(tmp_path: Path) -> None:
    source = movielens(
        tmp_path,
        u__data="196\t1\t3\t881250949\n186\t1\t5\t891717742\n",
        u__item=f"1|Small Hours (1995)|01-Jan-1995||http://us.imdb.com/|{FLAGS}\n".encode("latin-1"),
    )
    assert events_of(source)["user_id"].to_pylist() == ["196", "186"]
    assert items_of(source)["1"]["category"] == ["Action"]
    assert items_of(source)["1"]["attributes"] == [("genres", "Action|Comedy")]


def test_files_may_stay_compressed(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__csv__gz=gzip.compress(CSV_RATINGS.encode()), movies__csv=CSV_MOVIES)
    assert events_of(source).num_rows == 3
    assert [part.name for part in source.parts()] == ["ratings.csv.gz"]


def test_damaged_ratings_are_refused_with_reason_and_text(tmp_path: Path) -> None:
    bad = [
        "1,10,3.5",
        "1,10,3.5,1112486027,7",
        ",10,3.5,1112486027",
        "1,,3.5,1112486027",
        "1,10,good,1112486027",
        "1,10,,1112486027",
        "1,10,nan,1112486027",
        "1,10,6.0,1112486027",
        "1,10,3.5,yesterday",
        "1,10,3.5,1112486027000",
        "1,10,3.5,86400",
    ]
    source = movielens(tmp_path, ratings__csv=CSV_RATINGS + "\n".join(bad) + "\n", movies__csv=CSV_MOVIES)
    assert (rows_in(source), events_of(source).num_rows) == (14, 3)
    assert refused(source) == [
        (5, "too few fields", bad[0]),
        (6, "too many fields", bad[1]),
        (7, "shopper is missing", bad[2]),
        (8, "item is missing", bad[3]),
        (9, "rating is not a number", bad[4]),
        (10, "rating is missing", bad[5]),
        (11, "rating is not a number", bad[6]),
        (12, "rating is not between 0.5 and 5", bad[7]),
        (13, "time is unreadable", bad[8]),
        (14, "time is in the future", bad[9]),
        (15, "time is before 1990", bad[10]),
    ]


def test_a_line_that_only_looks_like_two_colons_is_refused(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__dat=DAT_RATINGS + "1:9:10::5::978300760\n", movies__dat=DAT_MOVIES)
    assert refused(source) == [(4, "is not UserID::MovieID::Rating::Timestamp", "1:9:10::5::978300760")]
    assert events_of(source).num_rows == 3


def test_a_movie_that_is_rated_but_not_described_has_its_id_for_a_title(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = movielens(tmp_path, ratings__dat=DAT_RATINGS, movies__dat="10::Small Hours (1995)::Drama\n20;Café\n")
    items = items_of(source)
    assert (items["20"]["title"], items["20"]["category"]) == ("20", [])
    assert "1 lines of movies.dat describe no movie; the first holds ['20;Café']" in caplog.text


def test_an_open_quote_costs_one_movie_its_title_and_no_other(tmp_path: Path) -> None:
    movies = CSV_MOVIES.replace('(1995)"', "(1995)") + '30,"Both Sides ""Now"" (2001)",Drama\n'
    items = items_of(movielens(tmp_path, ratings__csv=CSV_RATINGS, movies__csv=movies))
    assert [items[movie]["title"] for movie in ("10", "20", "30")] == ["10", "Nobody Knows", 'Both Sides "Now" (2001)']


def test_a_missing_file_is_named_with_address_and_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"ratings\.csv is missing; download ratings\.csv or ratings\.dat or u\.data"):
        movielens(tmp_path).parts()
    with pytest.raises(SourceError, match=r"movies\.csv is missing; .*https://grouplens\.org/datasets/movielens/"):
        movielens(tmp_path, ratings__csv=CSV_RATINGS).parts()


def test_two_releases_in_one_folder_are_refused(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__csv=CSV_RATINGS, movies__csv=CSV_MOVIES, ratings__dat=DAT_RATINGS)
    with pytest.raises(SourceError, match=r"holds ratings\.csv and ratings\.dat, which are of different releases"):
        source.parts()


def test_another_header_is_refused_with_the_columns_there_are(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__csv="user,movieId,rating,timestamp\n", movies__csv=CSV_MOVIES)
    with pytest.raises(SourceError, match=r"no column 'userId'; it has: user, movieId, rating, timestamp"):
        source.parts()


def test_other_bytes_make_another_digest_and_the_cut_off_does_not_matter(tmp_path: Path) -> None:
    source = movielens(tmp_path, ratings__csv=CSV_RATINGS, movies__csv=CSV_MOVIES)
    before = source.parts()[0].digest
    moved = MovieLens(folder=tmp_path, cutoff=0)
    assert (moved.fingerprint(), moved.parts()[0].digest) == (source.fingerprint(), before)
    (tmp_path / "ratings.csv").write_text(CSV_RATINGS + "2,20,1.0,1112486029\n")
    assert source.parts()[0].digest != before


def test_the_real_movies_of_1m_all_have_title_year_and_genre() -> None:
    (path,) = real("ml-1m/movies.dat.gz")
    movies = dict(read_movies(path, dat_movies))
    assert len(movies) == 3_883
    assert all(movie.genres for movie in movies.values())
    assert movies["1"].title == "Toy Story (1995)"
