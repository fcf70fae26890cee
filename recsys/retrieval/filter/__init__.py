"""Which items may be recommended: a small typed JSON language, compiled to bitmaps over columns that change while read.

    {"category": "Food > Dairy", "brand": ["Alpine", "Meadow"], "price": {"gte": 1, "lt": 5}, "available": true,
     "attributes": {"organic": true, "fat_percent": {"lte": 3.5}}, "not": {"item_id": ["milk-1l"]}}

An object matches an item if all of its fields do; `{}` is every item. Fields:

| field | value | matches |
|---|---|---|
| category | path or list of paths, levels joined by " > " | the category itself and everything below it |
| brand | name or list of names | items of one of them |
| price | range: gte or gt, lte or lt | items whose price is known and within it |
| available | true or false | items that can (cannot) be bought |
| available_in | store or market, or list of them | items that can be bought in at least one of them |
| attributes | object: name -> text, number, true, false, list of these, or range | items that fulfil every entry |
| item_id | id or list of ids | these items |
| and, or | list of filters | all of them match; at least one does (an empty list: every item; none) |
| not | a filter | exactly the items that the filter does not match |

A list of values is "any of them", an empty one matches nothing. Logic has two values: an item of which something is not
known (no price, no brand, no such attribute) fulfils no condition on it, and hence fulfils the `not` of every condition
on it, as in the query languages of Elasticsearch and Qdrant and other than in SQL. So "not" is always the exact
complement. Whoever wants the known ones only says so: `{"not": {"price": {"gt": 5}}, "price": {"gte": 0}}`.
"""
