"""What a trained model tells about itself: a page of Markdown, pictures, figures for the tracker."""
