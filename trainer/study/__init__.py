"""The paper's user study: people choose between two methods' clips, on a page that needs no network."""
